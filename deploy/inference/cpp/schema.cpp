#include "schema.hpp"

#include <algorithm>

#include "errors.hpp"

namespace ppresnet {
namespace {

constexpr int kWidest = 1 << 15;

}  // namespace

Preprocess parse_preprocess(const Json& json) {
  Preprocess how;
  how.input_size = static_cast<int>(json.at("input_size").integer(1, kWidest));
  how.in_channels = static_cast<int>(json.at("in_channels").integer(1, 3));
  for (const Json& value : json.at("mean").array()) how.mean.push_back(value.number());
  for (const Json& value : json.at("std").array()) how.std.push_back(value.number());
  if (!json.at("resize").is_null()) how.resize = static_cast<int>(json.at("resize").integer(how.input_size, kWidest));
  const std::size_t channels = how.in_channels;
  if (channels == 2 || how.mean.size() != channels || how.std.size() != channels) {
    throw RequestError("preprocess does not agree with itself");
  }
  return how;
}

Activation parse_activation(const Json& described) {
  const auto found = described.object().find("activation");
  if (found == described.object().end()) return Activation::softmax;
  const std::string& name = found->second.string();
  if (name == "softmax") return Activation::softmax;
  if (name == "sigmoid") return Activation::sigmoid;
  throw RequestError("activation is '" + name + "'; expected softmax or sigmoid");
}

std::vector<std::string> parse_labels(const std::string& text) {
  std::vector<std::string> labels;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    labels.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return labels;
}

std::string disagreement(const Preprocess& preprocess, const Golden& golden, const std::vector<std::string>& labels,
                         const Json& output_shape) {
  const auto count = static_cast<int>(output_shape.at(output_shape.array().size() - 1).integer(1, 1 << 30));
  if (labels.size() != static_cast<std::size_t>(count)) {
    return std::to_string(labels.size()) + " labels for " + std::to_string(count) + " classes";
  }
  const int size = preprocess.input_size;
  const std::vector<int>& in = golden.inputs.shape;
  if (in.empty() || in != std::vector<int>{in[0], preprocess.in_channels, size, size} ||
      golden.outputs.shape != std::vector<int>{in[0], count}) {
    return "the golden tensors have other shapes than the network";
  }
  return "";
}

}  // namespace ppresnet
