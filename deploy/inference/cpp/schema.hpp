// The parts that deploy.json and lite.json share, and labels.txt.
#pragma once

#include <string>
#include <vector>

#include "golden.hpp"
#include "json.hpp"
#include "pixels.hpp"
#include "ranking.hpp"

namespace ppresnet {

// Each throws RequestError when the text is not of the schema.
Preprocess parse_preprocess(const Json& json);
// The key `activation` of the whole file; without one it is softmax, as it was before there was the key.
Activation parse_activation(const Json& described);
std::vector<std::string> parse_labels(const std::string& text);

// Returns what does not fit together, or nothing. output_shape: the field `shape` of the first output.
std::string disagreement(const Preprocess& preprocess, const Golden& golden, const std::vector<std::string>& labels,
                         const Json& output_shape);

}  // namespace ppresnet
