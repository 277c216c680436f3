// Verifies a bundle, reproduces its golden tensors with Paddle Inference, and classifies images.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "errors.hpp"
#include "image.hpp"
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

template <typename Number>
Number positive(const std::string& option, const std::string& text) {
  Number value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || !(value > 0)) {
    throw RequestError(option + " is '" + text + "'; expected a number above zero");
  }
  return value;
}

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

std::vector<double> softmax(const std::vector<float>& logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> scores;
  for (const float logit : logits) scores.push_back(std::exp(logit - highest));
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  for (double& score : scores) score /= sum;
  return scores;
}

// Once with all golden images, once with the first alone: a wrong batch dimension shows in one of them.
void check_golden(Session& session, const Golden& golden, double limit) {
  const auto first = [](const Tensor& tensor) {
    Tensor one = tensor;
    one.values.resize(one.values.size() / one.shape[0]);
    one.shape[0] = 1;
    return one;
  };
  const Golden alone{first(golden.inputs), first(golden.outputs)};
  for (const Golden& expected : {golden, alone}) {
    const double difference = relative_difference(session.run(expected.inputs), expected.outputs);
    std::fprintf(stderr, "golden tensors, batch %d: relative difference %.2g\n", expected.inputs.shape[0], difference);
    if (!(difference <= limit)) {
      char text[128];
      std::snprintf(text, sizeof text, "relative difference %g from the golden tensors; at most %g is allowed",
                    difference, limit);
      throw CheckFailed(text);
    }
  }
}

void classify(Session& session, const Bundle& bundle, const std::string& path, int top) {
  const int size = bundle.preprocess.input_size;
  const Tensor image{{1, bundle.preprocess.in_channels, size, size}, preprocess(read_image(path), bundle.preprocess)};
  const std::vector<double> scores = softmax(session.run(image).values);
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[a] > scores[b]; });
  order.resize(std::min<std::size_t>(top, order.size()));
  for (const int k : order) std::printf("%s\t%s\t%.6f\n", path.c_str(), bundle.labels[k].c_str(), scores[k]);
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
