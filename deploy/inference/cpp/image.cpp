#include "image.hpp"

#include <string>

#include "errors.hpp"
#include "files.hpp"
#include "image_ppm.hpp"

namespace ppresnet {
namespace {

Image decode(std::string_view bytes) {
  if (bytes.substr(0, 2) == "P5" || bytes.substr(0, 2) == "P6") return decode_ppm(bytes);
#ifdef PPRESNET_JPEG
  if (bytes.substr(0, 3) == "\xFF\xD8\xFF") return decode_jpeg(bytes);
#endif
#ifdef PPRESNET_PNG
  if (bytes.substr(0, 4) == "\x89PNG") return decode_png(bytes);
#endif
  throw RequestError("not an image of a format this program was built with; convert it to PPM");
}

}  // namespace

Image read_image(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    return decode(bytes);
  } catch (const RequestError& error) {
    throw RequestError(path.string() + ": " + error.what());
  }
}

}  // namespace ppresnet
