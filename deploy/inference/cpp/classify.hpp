// An image and a network in, the best classes on stdout.
#pragma once

#include <cstdio>
#include <string>

#include "golden.hpp"
#include "pixels.hpp"
#include "ranking.hpp"

namespace ppresnet {

// `described` has the preprocessing, the activation and the labels: a bundle, or the folder of a board.
template <typename Session, typename Described>
void classify(Session& session, const Described& described, const std::string& path, const Image& image, int top) {
  const Preprocess& how = described.preprocess;
  const Tensor input{{1, how.in_channels, how.input_size, how.input_size}, preprocess(image, how)};
  for (const auto& [k, score] : ranked(session.run(input).values, described.activation, top)) {
    std::printf("%s\t%s\t%.6f\n", path.c_str(), described.labels[k].c_str(), score);
  }
}

}  // namespace ppresnet
