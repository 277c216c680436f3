// From logits to the best classes.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

namespace ppresnet {

// What makes scores of logits: one class is right, or each is a yes or no of its own.
enum class Activation { softmax, sigmoid };

inline std::vector<double> softmax(const std::vector<float>& logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> scores;
  for (const float logit : logits) scores.push_back(std::exp(logit - highest));
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  for (double& score : scores) score /= sum;
  return scores;
}

inline std::vector<double> sigmoid(const std::vector<float>& logits) {
  std::vector<double> scores;
  for (const double logit : logits) scores.push_back(1.0 / (1.0 + std::exp(-logit)));
  return scores;
}

// The `top` best classes with their scores, best first.
inline std::vector<std::pair<int, double>> ranked(const std::vector<float>& logits, Activation activation, int top) {
  const std::vector<double> scores = activation == Activation::sigmoid ? sigmoid(logits) : softmax(logits);
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[a] > scores[b]; });
  order.resize(std::min<std::size_t>(top, order.size()));
  std::vector<std::pair<int, double>> best;
  for (const int k : order) best.emplace_back(k, scores[k]);
  return best;
}

}  // namespace ppresnet
