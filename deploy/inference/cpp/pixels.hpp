// The evaluation path of an image, byte for byte that of ppresnet/pixels: resize, centre crop, normalise.
// Needs nothing but the standard library. Compile with -ffp-contract=off: a fused multiply-add rounds differently.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ppresnet {

constexpr std::int64_t kMaxPixels = 64'000'000;

// pixels: height x width x channels, the channels of a pixel side by side.
struct Image {
  int width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> pixels;

  Image() = default;
  Image(int width, int height, int channels);
  std::uint8_t* row(int y) { return pixels.data() + static_cast<std::size_t>(y) * width * channels; }
  const std::uint8_t* row(int y) const { return pixels.data() + static_cast<std::size_t>(y) * width * channels; }
};

// The field `preprocess` of deploy.json.
struct Preprocess {
  int input_size = 0, in_channels = 0;
  std::vector<double> mean, std;
  std::optional<int> resize;
};

// Grey is repeated, colour becomes ITU-R 601 luma.
Image to_channels(const Image& image, int channels);

// Antialiasing triangle filter on uint8, as Pillow's BILINEAR.
Image resize(const Image& image, int width, int height);

// The shorter side becomes `side`, the longer floor(side * longer / shorter).
Image resize_shorter(const Image& image, int side);

// A square from the centre, offsets rounded down; both sides must have at least `size` pixels.
Image centre_crop(const Image& image, int size);

// float32((v / 255 - mean) / std) for v = 0 ... 255, computed in double.
std::vector<float> normalise_table(double mean, double std);

// The whole path: float32 [in_channels, input_size, input_size].
std::vector<float> preprocess(const Image& image, const Preprocess& how);

}  // namespace ppresnet
