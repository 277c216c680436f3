// Checks a bundle and shows what this code makes of it; needs no Paddle.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "errors.hpp"
#include "files.hpp"
#include "image.hpp"
#include "sha256.hpp"

using namespace ppresnet;

namespace {

constexpr const char* kUsage =
    "usage: bundle_check BUNDLE                       verify every byte, and say what it holds\n"
    "       bundle_check BUNDLE --golden FILE         and write the golden inputs, then outputs, as raw float32\n"
    "       bundle_check BUNDLE --tensors FILE IMAGE...  and write the preprocessed images as raw float32\n"
    "       bundle_check --sha256 FILE...             print digests";

void append(std::ofstream& file, const std::vector<float>& values) {
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
}

std::ofstream create(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  if (!file) throw RequestError(path + " cannot be written; check the path and the permissions");
  return file;
}

void close(std::ofstream& file, const std::string& path) {
  file.close();
  if (!file) throw std::runtime_error(path + " could not be written whole; is the disk full?");
}

void run(const std::vector<std::string>& arguments) {
  if (arguments.size() > 1 && arguments[0] == "--sha256") {
    for (auto path = arguments.begin() + 1; path != arguments.end(); ++path) {
      std::printf("%s  %s\n", sha256(read_file(*path)).c_str(), path->c_str());
    }
    return;
  }
  const bool golden = arguments.size() == 3 && arguments[1] == "--golden";
  const bool tensors = arguments.size() > 3 && arguments[1] == "--tensors";
  if (arguments.empty() || (arguments.size() > 1 && !golden && !tensors)) throw RequestError(kUsage);
  const Bundle bundle = read_bundle(arguments[0]);
  std::printf("%s: %zu files hold; input %d x %d x %d, %zu classes, %d golden images\n", arguments[0].c_str(),
              bundle.files.size(), bundle.preprocess.in_channels, bundle.preprocess.input_size,
              bundle.preprocess.input_size, bundle.labels.size(), bundle.golden.inputs.shape[0]);
  if (!golden && !tensors) return;
  std::ofstream file = create(arguments[2]);
  if (golden) {
    append(file, bundle.golden.inputs.values);
    append(file, bundle.golden.outputs.values);
  }
  for (std::size_t i = 3; i < arguments.size(); ++i) append(file, preprocess(read_image(arguments[i]), bundle.preprocess));
  close(file, arguments[2]);
}

}  // namespace

int main(int count, char** values) {
  return guarded("bundle_check", [&] { run({values + 1, values + count}); });
}
