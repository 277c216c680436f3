#include "board.hpp"

#include <algorithm>

#include "errors.hpp"
#include "files.hpp"
#include "image.hpp"
#include "json.hpp"
#include "manifest.hpp"
#include "numbers.hpp"
#include "schema.hpp"

namespace fs = std::filesystem;

namespace ppresnet {
namespace {

constexpr const char *kLite = "lite.json", *kLabels = "labels.txt", *kGolden = "golden.npz", *kModel = "model.nb";

Entries entries_of(const fs::path& folder) {
  Entries kept;
  for (const auto& [name, entry] : read_manifest(folder)) {
    if (name.rfind("cpp/", 0) != 0) kept[name] = entry;
  }
  for (const char* name : {kLite, kLabels, kGolden, kModel}) {
    if (!kept.count(name)) refuse(folder, std::string(name) + " is missing");
  }
  return kept;
}

Board parse(const fs::path& path) {
  const auto contents = check_contents(path, entries_of(path), {kLite, kLabels, kGolden});
  const Json lite = Json::parse(contents.at(kLite));
  if (lite.at("schema_version").number() != 1) throw RequestError("schema_version is not 1");
  Board board{path,
              lite.at("target").string(),
              lite.at("precision").string(),
              lite.at("lite_version").string(),
              parse_preprocess(lite.at("preprocess")),
              parse_activation(lite),
              parse_labels(contents.at(kLabels)),
              read_golden(contents.at(kGolden))};
  const std::string problem = disagreement(board.preprocess, board.golden, board.labels, lite.at("output_shape"));
  if (!problem.empty()) throw RequestError(problem);
  return board;
}

}  // namespace

double Board::limit() const {
  // OpenCL kernels compute in fp16 where the board can.
  if (precision == "fp16" || (precision == "fp32" && target.rfind("opencl", 0) == 0)) return 5e-2;
  if (precision == "int16-weights") return 1e-2;
  return precision == "fp32" ? 1e-4 : 2e-1;
}

Board read_board(const fs::path& path) {
  if (!fs::is_directory(path)) throw RequestError("no folder " + path.string() + "; expected what convert.py wrote");
  try {
    return parse(path);
  } catch (const RequestError& error) {
    if (std::string(error.what()).rfind(path.string() + " is incomplete", 0) == 0) throw;
    refuse(path, error.what());
  } catch (const fs::filesystem_error& error) {
    refuse(path, error.what());
  }
}

Image read_picture(const std::string& path, const std::string& raw_size) {
  if (raw_size.empty()) return read_image(path);
  const std::size_t cross = std::min(raw_size.find('x'), raw_size.size() - 1);
  const int width = positive<int>("--raw", raw_size.substr(0, cross));
  const int height = positive<int>("--raw", raw_size.substr(cross + 1));
  if (std::int64_t{width} * height > kMaxPixels) throw RequestError("--raw " + raw_size + " has too many pixels");
  const std::string bytes = read_file(path);
  Image image(width, height, 3);
  if (bytes.size() != image.pixels.size()) {
    throw RequestError(path + " has " + std::to_string(bytes.size()) + " bytes; --raw " + raw_size + " needs " +
                       std::to_string(image.pixels.size()));
  }
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(image.pixels.data()));
  return image;
}

}  // namespace ppresnet
