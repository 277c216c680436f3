// Reads golden.npz: a zip whose members, inputs.npy and outputs.npy, are stored, float32 and in C order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ppresnet {

struct Tensor {
  std::vector<int> shape;
  std::vector<float> values;
};

// inputs: preprocessed images [n, channels, size, size]; outputs: their logits [n, classes].
struct Golden {
  Tensor inputs, outputs;
};

// Throws RequestError when the bytes are anything else.
Golden read_golden(std::string_view npz);

// max|a - b| / max|reference|; infinity when the shapes differ, a value is not finite or every value is zero.
double relative_difference(const Tensor& found, const Tensor& reference);

}  // namespace ppresnet
