// Reads a bundle after every byte of it was checked.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "golden.hpp"
#include "pixels.hpp"
#include "ranking.hpp"

namespace ppresnet {

struct Bundle {
  std::filesystem::path path;
  std::set<std::string> files;
  Preprocess preprocess;
  Activation activation;
  std::vector<std::string> labels;
  Golden golden;
};

// Throws RequestError when a file is missing, altered or unlisted, or the parts do not agree with each other.
Bundle read_bundle(const std::filesystem::path& path);

}  // namespace ppresnet
