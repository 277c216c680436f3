// Verifies a folder, reproduces its golden tensors with Paddle Lite, classifies images and measures latency.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "board.hpp"
#include "classify.hpp"
#include "command_line.hpp"
#include "errors.hpp"
#include "lite_session.hpp"
#include "numbers.hpp"
#include "self_test.hpp"

using namespace ppresnet;

namespace {

constexpr const char* kUsage =
    "usage: board FOLDER [IMAGE...] [--threads N] [--power high|low|full|none] [--top K] [--latency RUNS]\n"
    "             [--raw WxH]   the images are raw RGB bytes of this size\n"
    "             [--limit X]   largest relative difference from the golden tensors, by precision unless told";
constexpr int kWarmUp = 5;

struct Request {
  Paths paths;
  std::string raw;
  Runtime runtime;
  int top = 5, latency = 0;
  double limit = 0;
};

paddle::lite_api::PowerMode power(const std::string& name) {
  const std::map<std::string, paddle::lite_api::PowerMode> modes{{"high", paddle::lite_api::LITE_POWER_HIGH},
                                                                 {"low", paddle::lite_api::LITE_POWER_LOW},
                                                                 {"full", paddle::lite_api::LITE_POWER_FULL},
                                                                 {"none", paddle::lite_api::LITE_POWER_NO_BIND}};
  const auto found = modes.find(name);
  if (found == modes.end()) throw RequestError("--power is '" + name + "'; expected high, low, full or none");
  return found->second;
}

Request parse(const std::vector<std::string>& arguments) {
  Request request;
  request.paths = read_command_line(arguments, kUsage, [&](const std::string& option, const std::string& value) {
    if (option == "--threads") {
      request.runtime.threads = positive<int>(option, value);
    } else if (option == "--power") {
      request.runtime.power = power(value);
    } else if (option == "--top") {
      request.top = positive<int>(option, value);
    } else if (option == "--latency") {
      request.latency = positive<int>(option, value);
    } else if (option == "--raw") {
      request.raw = value;
    } else if (option == "--limit") {
      request.limit = positive<double>(option, value);
    } else {
      return false;
    }
    return true;
  });
  return request;
}

// One image at a time, without preprocessing.
void measure(Session& session, const Board& board, const Request& request) {
  const Tensor image = first_of(board.golden.inputs);
  for (int i = 0; i < kWarmUp; ++i) session.run(image);
  std::vector<double> milliseconds;
  for (int i = 0; i < request.latency; ++i) {
    const auto began = std::chrono::steady_clock::now();
    session.run(image);
    milliseconds.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto at = [&](double share) { return milliseconds[static_cast<std::size_t>(share * (milliseconds.size() - 1))]; };
  std::printf("latency\tp50 %.3f ms\tp95 %.3f ms\tfastest %.3f ms\t%zu runs, %d threads\n", at(0.5), at(0.95), at(0),
              milliseconds.size(), request.runtime.threads);
}

void run(const std::vector<std::string>& arguments) {
  const Request request = parse(arguments);
  const Board board = read_board(request.paths.folder);
  Session session(board, request.runtime);
  check_golden(session, board.golden, request.limit > 0 ? request.limit : board.limit());
  for (const std::string& path : request.paths.images) {
    classify(session, board, path, read_picture(path, request.raw), request.top);
  }
  if (request.latency > 0) measure(session, board, request);
}

}  // namespace

int main(int count, char** values) {
  return guarded("board", [&] { run({values + 1, values + count}); });
}
