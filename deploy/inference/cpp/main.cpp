// Verifies a bundle, reproduces its golden tensors with Paddle Inference, and classifies images.
#include <cstdio>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "errors.hpp"
#include "image.hpp"
#include "numbers.hpp"
#include "ranking.hpp"
#include "self_test.hpp"
#include "session.hpp"

using namespace ppresnet;

namespace {

constexpr const char* kUsage =
    "usage: classify BUNDLE [IMAGE...] [--format pdmodel|json] [--backend onednn|native] [--threads N] [--top K]\n"
    "                [--limit X]   largest relative difference from the golden tensors, 1e-4 unless told";

struct Request {
  std::string bundle;
  std::vector<std::string> images;
  Runtime runtime;
  int top = 5;
  double limit = 1e-4;
};

std::string one_of(const std::string& option, const std::string& text, const std::string& a, const std::string& b) {
  if (text != a && text != b) throw RequestError(option + " is '" + text + "'; expected " + a + " or " + b);
  return text;
}

Request parse(const std::vector<std::string>& arguments) {
  Request request;
  std::vector<std::string> paths;
  for (auto at = arguments.begin(); at != arguments.end(); ++at) {
    const std::string& option = *at;
    if (option.rfind("--", 0) != 0) {
      paths.push_back(option);
      continue;
    }
    if (++at == arguments.end()) throw RequestError(kUsage);
    if (option == "--format") {
      request.runtime.format = one_of(option, *at, "pdmodel", "json");
    } else if (option == "--backend") {
      request.runtime.backend = one_of(option, *at, "onednn", "native");
    } else if (option == "--threads") {
      request.runtime.threads = positive<int>(option, *at);
    } else if (option == "--top") {
      request.top = positive<int>(option, *at);
    } else if (option == "--limit") {
      request.limit = positive<double>(option, *at);
    } else {
      throw RequestError("unknown option " + option + "\n" + kUsage);
    }
  }
  if (paths.empty()) throw RequestError(kUsage);
  request.bundle = paths.front();
  request.images.assign(paths.begin() + 1, paths.end());
  return request;
}

void classify(Session& session, const Bundle& bundle, const std::string& path, int top) {
  const int size = bundle.preprocess.input_size;
  const Tensor image{{1, bundle.preprocess.in_channels, size, size}, preprocess(read_image(path), bundle.preprocess)};
  for (const auto& [k, score] : ranked(session.run(image).values, top)) {
    std::printf("%s\t%s\t%.6f\n", path.c_str(), bundle.labels[k].c_str(), score);
  }
}

void run(const std::vector<std::string>& arguments) {
  const Request request = parse(arguments);
  const Bundle bundle = read_bundle(request.bundle);
  Session session(bundle, request.runtime);
  check_golden(session, bundle.golden, request.limit);
  for (const std::string& path : request.images) classify(session, bundle, path, request.top);
}

}  // namespace

int main(int count, char** values) {
  return guarded("classify", [&] { run({values + 1, values + count}); });
}
