// Verifies a bundle, reproduces its golden tensors with Paddle Inference, and classifies images.
#include <string>
#include <vector>

#include "bundle.hpp"
#include "classify.hpp"
#include "command_line.hpp"
#include "errors.hpp"
#include "image.hpp"
#include "numbers.hpp"
#include "self_test.hpp"
#include "session.hpp"

using namespace ppresnet;

namespace {

constexpr const char* kUsage =
    "usage: classify BUNDLE [IMAGE...] [--format pdmodel|json] [--backend onednn|native] [--threads N] [--top K]\n"
    "                [--limit X]   largest relative difference from the golden tensors, 1e-4 unless told";

struct Request {
  Paths paths;
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
  request.paths = read_command_line(arguments, kUsage, [&](const std::string& option, const std::string& value) {
    if (option == "--format") {
      request.runtime.format = one_of(option, value, "pdmodel", "json");
    } else if (option == "--backend") {
      request.runtime.backend = one_of(option, value, "onednn", "native");
    } else if (option == "--threads") {
      request.runtime.threads = positive<int>(option, value);
    } else if (option == "--top") {
      request.top = positive<int>(option, value);
    } else if (option == "--limit") {
      request.limit = positive<double>(option, value);
    } else {
      return false;
    }
    return true;
  });
  return request;
}

void run(const std::vector<std::string>& arguments) {
  const Request request = parse(arguments);
  const Bundle bundle = read_bundle(request.paths.folder);
  Session session(bundle, request.runtime);
  check_golden(session, bundle.golden, request.limit);
  for (const std::string& path : request.paths.images) {
    classify(session, bundle, path, read_image(path), request.top);
  }
}

}  // namespace

int main(int count, char** values) {
  return guarded("classify", [&] { run({values + 1, values + count}); });
}
