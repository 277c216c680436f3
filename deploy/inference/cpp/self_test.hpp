// Golden tensors are reproduced before anything else is believed.
#pragma once

#include <cstdio>

#include "errors.hpp"
#include "golden.hpp"

namespace ppresnet {

inline void check_difference(const Tensor& found, const Tensor& expected, double limit) {
  const double difference = relative_difference(found, expected);
  std::fprintf(stderr, "golden tensors, batch %d: relative difference %.2g\n", expected.shape[0], difference);
  if (!(difference <= limit)) {
    char text[128];
    std::snprintf(text, sizeof text, "relative difference %g from the golden tensors; at most %g is allowed", difference,
                  limit);
    throw CheckFailed(text);
  }
}

inline Tensor first_of(const Tensor& tensor) {
  Tensor one = tensor;
  one.values.resize(one.values.size() / one.shape[0]);
  one.shape[0] = 1;
  return one;
}

// Once with all golden images, once with the first alone: a wrong batch dimension shows in one of them.
template <typename Session>
void check_golden(Session& session, const Golden& golden, double limit) {
  check_difference(session.run(golden.inputs), golden.outputs, limit);
  check_difference(session.run(first_of(golden.inputs)), first_of(golden.outputs), limit);
}

}  // namespace ppresnet
