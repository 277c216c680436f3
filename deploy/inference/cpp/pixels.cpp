#include "pixels.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "errors.hpp"

namespace ppresnet {
namespace {

// Weights are integers in units of 2^-22; a sum starts at one half, so that the shift rounds.
constexpr int kPrecision = 22;
constexpr std::int32_t kHalf = 1 << (kPrecision - 1);

// What one output pixel is made of: inputs first, first + 1, ... with these weights.
struct Tap {
  int first;
  std::vector<std::int32_t> weights;
};

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

std::vector<Tap> taps(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  const double support = std::max(scale, 1.0);
  const double shrink = 1.0 / support;
  std::vector<Tap> result;
  result.reserve(to);
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int end = std::min(from, static_cast<int>(centre + support + 0.5));
    std::vector<double> shares;
    double sum = 0.0;
    for (int x = first; x < end; ++x) {
      shares.push_back(triangle((x - centre + 0.5) * shrink));
      sum += shares.back();
    }
    Tap tap{first, {}};
    for (const double share : shares) {
      const double normalised = sum == 0.0 ? share : share / sum;
      tap.weights.push_back(static_cast<std::int32_t>(0.5 + normalised * (1 << kPrecision)));
    }
    result.push_back(std::move(tap));
  }
  return result;
}

std::uint8_t rounded(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kPrecision, 0, 255)); }

Image resize_rows(const Image& image, int width) {
  const std::vector<Tap> plan = taps(image.width, width);
  const int channels = image.channels;
  Image result(width, image.height, channels);
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* out = result.row(y);
    for (const Tap& tap : plan) {
      for (int c = 0; c < channels; ++c) {
        const std::uint8_t* in = image.row(y) + tap.first * channels + c;
        std::int32_t sum = kHalf;
        for (const std::int32_t weight : tap.weights) {
          sum += *in * weight;
          in += channels;
        }
        *out++ = rounded(sum);
      }
    }
  }
  return result;
}

Image resize_columns(const Image& image, int height) {
  const std::vector<Tap> plan = taps(image.height, height);
  const int stride = image.width * image.channels;
  Image result(image.width, height, image.channels);
  std::vector<std::int32_t> sums(stride);
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (std::size_t k = 0; k < plan[y].weights.size(); ++k) {
      const std::uint8_t* in = image.row(plan[y].first + static_cast<int>(k));
      const std::int32_t weight = plan[y].weights[k];
      for (int x = 0; x < stride; ++x) sums[x] += in[x] * weight;
    }
    std::transform(sums.begin(), sums.end(), result.row(y), rounded);
  }
  return result;
}

}  // namespace

Image::Image(int width, int height, int channels)
    : width(width), height(height), channels(channels), pixels(static_cast<std::size_t>(width) * height * channels) {}

Image to_channels(const Image& image, int channels) {
  if (image.channels == channels) return image;
  Image result(image.width, image.height, channels);
  const std::size_t count = static_cast<std::size_t>(image.width) * image.height;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* in = image.pixels.data() + i * image.channels;
    std::uint8_t* out = result.pixels.data() + i * channels;
    if (image.channels == 1) {
      std::fill(out, out + channels, *in);
    } else {
      // 0.299, 0.587 and 0.114 in units of 2^-16.
      *out = static_cast<std::uint8_t>((in[0] * 19595 + in[1] * 38470 + in[2] * 7471 + 0x8000) >> 16);
    }
  }
  return result;
}

Image resize(const Image& image, int width, int height) {
  if (width == image.width) return height == image.height ? image : resize_columns(image, height);
  const Image wide = resize_rows(image, width);
  return height == image.height ? wide : resize_columns(wide, height);
}

Image resize_shorter(const Image& image, int side) {
  const std::int64_t shorter = std::min(image.width, image.height);
  if (shorter == side) return image;
  const std::int64_t width = std::int64_t{side} * image.width / shorter;
  const std::int64_t height = std::int64_t{side} * image.height / shorter;
  if (width > kMaxPixels || height > kMaxPixels || width * height > kMaxPixels) {
    throw RequestError(std::to_string(image.width) + " x " + std::to_string(image.height) + " pixels would become " +
                       std::to_string(width) + " x " + std::to_string(height) + "; at most " +
                       std::to_string(kMaxPixels) + " may");
  }
  return resize(image, static_cast<int>(width), static_cast<int>(height));
}

Image centre_crop(const Image& image, int size) {
  if (image.width < size || image.height < size) throw std::logic_error("the crop is larger than the image");
  const int top = (image.height - size) / 2, left = (image.width - size) / 2;
  Image result(size, size, image.channels);
  for (int y = 0; y < size; ++y) {
    const std::uint8_t* in = image.row(top + y) + left * image.channels;
    std::copy(in, in + size * image.channels, result.row(y));
  }
  return result;
}

std::vector<float> normalise_table(double mean, double std) {
  std::vector<float> table(256);
  for (int v = 0; v < 256; ++v) table[v] = static_cast<float>((v / 255.0 - mean) / std);
  return table;
}

std::vector<float> preprocess(const Image& image, const Preprocess& how) {
  const int size = how.input_size, channels = how.in_channels;
  const Image seen = to_channels(image, channels);
  const Image cut = centre_crop(resize_shorter(seen, how.resize.value_or(size)), size);
  const std::size_t area = static_cast<std::size_t>(size) * size;
  std::vector<float> tensor(channels * area);
  for (int c = 0; c < channels; ++c) {
    const std::vector<float> table = normalise_table(how.mean[c], how.std[c]);
    for (std::size_t i = 0; i < area; ++i) tensor[c * area + i] = table[cut.pixels[i * channels + c]];
  }
  return tensor;
}

}  // namespace ppresnet
