#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <string>
#include <vector>

#include "errors.hpp"
#include "exif.hpp"
#include "image.hpp"

namespace ppresnet {
namespace {

struct Decoder {
  std::string_view left;
  std::string problem;
  Image image;
  std::vector<png_bytep> rows;
  int orientation = 1;
};

void leave(png_structp png, png_const_charp message) {
  static_cast<Decoder*>(png_get_error_ptr(png))->problem = message;
  png_longjmp(png, 1);
}

void remark(png_structp, png_const_charp) {}

void feed(png_structp png, png_bytep to, std::size_t size) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (size > decoder->left.size()) png_error(png, "the PNG is truncated");
  std::copy_n(decoder->left.data(), size, reinterpret_cast<char*>(to));
  decoder->left.remove_prefix(size);
}

// Of 16-bit samples the high byte is kept, palettes become colours.
void decode(Decoder& decoder, png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png)) != 0) return;
  png_set_read_fn(png, &decoder, feed);
  png_read_info(png, info);
  const png_uint_32 width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  if (static_cast<std::int64_t>(width) * height > kMaxPixels) png_error(png, "more than 64000000 pixels");
  if ((png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, info, PNG_INFO_tRNS) != 0) {
    png_error(png, "it is transparent; lay it over a ground first");
  }
  png_set_strip_16(png);
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  decoder.image = Image(static_cast<int>(width), static_cast<int>(height), png_get_channels(png, info));
  decoder.rows.resize(height);
  for (png_uint_32 y = 0; y < height; ++y) decoder.rows[y] = decoder.image.row(static_cast<int>(y));
  png_read_image(png, decoder.rows.data());
  png_read_end(png, info);
#ifdef PNG_eXIf_SUPPORTED
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(png, info, &size, &exif) != 0) {
    decoder.orientation = exif_orientation({reinterpret_cast<const char*>(exif), size});
  }
#endif
  decoder.problem.clear();
}

}  // namespace

Image decode_png(std::string_view bytes) {
  Decoder decoder;
  decoder.left = bytes;
  decoder.problem = "no memory for the PNG decoder";
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, leave, remark);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info != nullptr) decode(decoder, png, info);
  png_destroy_read_struct(&png, &info, nullptr);
  if (!decoder.problem.empty()) throw RequestError(decoder.problem);
  return upright(decoder.image, decoder.orientation);
}

}  // namespace ppresnet
