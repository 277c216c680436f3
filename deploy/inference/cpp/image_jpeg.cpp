#include <cstddef>
#include <cstdio>  // jpeglib.h uses FILE and size_t

#include <jpeglib.h>
#include <jerror.h>

#include <csetjmp>
#include <string>

#include "errors.hpp"
#include "exif.hpp"
#include "image.hpp"

namespace ppresnet {
namespace {

constexpr std::string_view kExif("Exif\0\0", 6);

// libjpeg reports errors by a call that must not return; C++ exceptions may not cross its frames.
struct Decoder : jpeg_decompress_struct {
  jpeg_error_mgr errors{};
  std::jmp_buf back;
  bool truncated = false;
  char message[JMSG_LENGTH_MAX] = "";
  Image image;
  int orientation = 1;

  ~Decoder() { jpeg_destroy_decompress(this); }
};

void leave(j_common_ptr common) {
  auto* decoder = static_cast<Decoder*>(reinterpret_cast<j_decompress_ptr>(common));
  common->err->format_message(common, decoder->message);
  std::longjmp(decoder->back, 1);
}

void remark(j_common_ptr common, int level) {
  const bool end = common->err->msg_code == JWRN_JPEG_EOF || common->err->msg_code == JWRN_HIT_MARKER;
  if (level < 0 && end) static_cast<Decoder*>(reinterpret_cast<j_decompress_ptr>(common))->truncated = true;
}

void read_markers(Decoder& decoder) {
  for (jpeg_saved_marker_ptr marker = decoder.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.substr(0, kExif.size()) != kExif) continue;
    decoder.orientation = exif_orientation(data.substr(kExif.size()));
    return;
  }
}

// Between setjmp and longjmp nothing is constructed that would need its destructor.
bool decode(Decoder& decoder, std::string_view bytes) {
  if (setjmp(decoder.back) != 0) return false;
  jpeg_create_decompress(&decoder);
  jpeg_mem_src(&decoder, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&decoder, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&decoder, TRUE);
  const std::int64_t area = static_cast<std::int64_t>(decoder.image_width) * decoder.image_height;
  if (area > kMaxPixels || decoder.num_components > 3) {
    std::snprintf(decoder.message, sizeof decoder.message, "%u x %u pixels with %d components; at most %lld and 3",
                  decoder.image_width, decoder.image_height, decoder.num_components, static_cast<long long>(kMaxPixels));
    return false;
  }
  decoder.out_color_space = decoder.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  read_markers(decoder);
  jpeg_start_decompress(&decoder);
  decoder.image = Image(static_cast<int>(decoder.output_width), static_cast<int>(decoder.output_height),
                        decoder.output_components);
  while (decoder.output_scanline < decoder.output_height) {
    JSAMPROW row = decoder.image.row(static_cast<int>(decoder.output_scanline));
    jpeg_read_scanlines(&decoder, &row, 1);
  }
  jpeg_finish_decompress(&decoder);
  return true;
}

}  // namespace

Image decode_jpeg(std::string_view bytes) {
  Decoder decoder;
  decoder.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = leave;
  decoder.errors.emit_message = remark;
  if (!decode(decoder, bytes)) throw RequestError(decoder.message);
  if (decoder.truncated) throw RequestError("the JPEG is truncated");
  return upright(decoder.image, decoder.orientation);
}

}  // namespace ppresnet
