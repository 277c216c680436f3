// Checks a folder for a board and shows what this code makes of it; needs no Paddle Lite.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "board.hpp"
#include "errors.hpp"
#include "files.hpp"
#include "self_test.hpp"

using namespace ppresnet;

namespace {

constexpr const char* kUsage =
    "usage: board_check FOLDER                            verify every byte, and say what it holds\n"
    "       board_check FOLDER --outputs FILE             and hold raw float32 outputs against the golden tensors\n"
    "       board_check FOLDER [--raw WxH] --tensors FILE IMAGE...  and write the preprocessed images as raw float32";

void write_tensors(const Board& board, const std::string& path, const std::vector<std::string>& images,
                   const std::string& raw) {
  std::ofstream file(path, std::ios::binary);
  if (!file) throw RequestError(path + " cannot be written; check the path and the permissions");
  for (const std::string& image : images) {
    const std::vector<float> values = preprocess(read_picture(image, raw), board.preprocess);
    file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
  }
  file.close();
  if (!file) throw std::runtime_error(path + " could not be written whole; is the disk full?");
}

void check_outputs(const Board& board, const std::string& path) {
  const std::string bytes = read_file(path);
  Tensor found{board.golden.outputs.shape, std::vector<float>(bytes.size() / sizeof(float))};
  if (bytes.size() != board.golden.outputs.values.size() * sizeof(float)) throw RequestError(path + " has another size");
  std::memcpy(found.values.data(), bytes.data(), bytes.size());
  check_difference(found, board.golden.outputs, board.limit());
}

void run(std::vector<std::string> arguments) {
  if (arguments.empty()) throw RequestError(kUsage);
  const Board board = read_board(arguments[0]);
  std::printf("%s: %s, %s, Paddle Lite %s; input %d x %d x %d, %zu classes, %d golden images\n", arguments[0].c_str(),
              board.target.c_str(), board.precision.c_str(), board.lite_version.c_str(), board.preprocess.in_channels,
              board.preprocess.input_size, board.preprocess.input_size, board.labels.size(),
              board.golden.inputs.shape[0]);
  std::string raw;
  if (arguments.size() > 3 && arguments[1] == "--raw") {
    raw = arguments[2];
    arguments.erase(arguments.begin() + 1, arguments.begin() + 3);
  }
  if (arguments.size() == 1) return;
  if (arguments.size() == 3 && arguments[1] == "--outputs") return check_outputs(board, arguments[2]);
  if (arguments.size() < 4 || arguments[1] != "--tensors") throw RequestError(kUsage);
  write_tensors(board, arguments[2], {arguments.begin() + 3, arguments.end()}, raw);
}

}  // namespace

int main(int count, char** values) {
  return guarded("board_check", [&] { run({values + 1, values + count}); });
}
