// The folder that deploy/lite/convert.py wrote, read after every byte of it was checked (cpp/ may be changed).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "golden.hpp"
#include "pixels.hpp"
#include "ranking.hpp"

namespace ppresnet {

struct Board {
  std::filesystem::path path;
  std::string target, precision, lite_version;
  Preprocess preprocess;
  Activation activation;
  std::vector<std::string> labels;
  Golden golden;

  std::filesystem::path model() const { return path / "model.nb"; }
  // Largest relative difference from the golden tensors that the precision explains; as deploy/lite/prove.py has it.
  double limit() const;
};

// Throws RequestError when a file is missing or altered, or the parts do not agree with each other.
Board read_board(const std::filesystem::path& path);

// Reads an image file, or, with a size such as 640x480, raw bytes: red, green and blue of each pixel, row by row.
Image read_picture(const std::string& path, const std::string& raw_size);

}  // namespace ppresnet
