#include <csetjmp>
#include <cstddef>
#include <cstdio>

// jpeglib.h needs FILE and size_t.
#include <jpeglib.h>
// Message codes.
#include <jerror.h>

#include "packer/image_decoders.h"
#include "packer/limits.h"

namespace navit::image_internal {
namespace {

struct ErrorManager {
  jpeg_error_mgr base;
  jmp_buf escape;
};

[[noreturn]] void Escape(j_common_ptr common) {
  longjmp(reinterpret_cast<ErrorManager*>(common->err)->escape, 1);
}

// Warnings after which pixels are invented: the image is damaged. Others (bytes between markers,
// odd Adobe codes) leave the image whole.
void OnMessage(j_common_ptr common, int level) {
  if (level >= 0) return;
  switch (common->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
      Escape(common);
    default:
      break;
  }
}

void OnProgress(j_common_ptr common) {
  if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number > kMaxJpegScans) {
    Escape(common);
  }
}

// Smallest numerator of n/8 that keeps at least the target.
unsigned ScaleNumerator(uint32_t width, uint32_t height, uint32_t target_width,
                        uint32_t target_height) {
  for (unsigned n = 1; n < 8; ++n) {
    if ((uint64_t{width} * n + 7) / 8 >= target_width &&
        (uint64_t{height} * n + 7) / 8 >= target_height) {
      return n;
    }
  }
  return 8;
}

// Adobe writes CMYK inverted: 255 means no ink.
void CmykToRgb(const uint8_t* cmyk, uint32_t count, bool inverted, uint8_t* rgb) {
  for (uint32_t i = 0; i < count; ++i) {
    const uint8_t* in = cmyk + 4 * size_t{i};
    const uint32_t light = inverted ? in[3] : 255u - in[3];
    for (int c = 0; c < 3; ++c) {
      const uint32_t value = (inverted ? in[c] : 255u - in[c]) * light + 128;
      rgb[3 * size_t{i} + c] = static_cast<uint8_t>((value + (value >> 8)) >> 8);
    }
  }
}

// Between setjmp and the end lies nothing with a destructor: `image` and `scratch` are the
// caller's, so that an escape leaks nothing.
bool Decode(absl::string_view file, uint32_t width, uint32_t height, uint32_t target_width,
            uint32_t target_height, Image* image, std::vector<uint8_t>* scratch) {
  jpeg_decompress_struct jpeg;
  ErrorManager errors;
  jpeg_progress_mgr progress = {};
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = Escape;
  errors.base.emit_message = OnMessage;
  if (setjmp(errors.escape) != 0) {
    jpeg_destroy_decompress(&jpeg);
    return false;
  }
  jpeg_create_decompress(&jpeg);
  progress.progress_monitor = OnProgress;
  jpeg.progress = &progress;
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&jpeg, TRUE);
  if (jpeg.image_width != width || jpeg.image_height != height) {
    jpeg_destroy_decompress(&jpeg);
    return false;
  }
  const bool four = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  jpeg.out_color_space = four ? JCS_CMYK : JCS_RGB;
  jpeg.scale_num = ScaleNumerator(width, height, target_width, target_height);
  jpeg.scale_denom = 8;
  // The accurate integer transform has the same bits with and without SIMD. Smooth chroma matters
  // only where the resize that follows does not average it anyway.
  jpeg.dct_method = JDCT_ISLOW;
  jpeg.do_fancy_upsampling = jpeg.scale_num == 8;
  jpeg_start_decompress(&jpeg);
  image->Resize(jpeg.output_width, jpeg.output_height);
  if (four) scratch->resize(size_t{4} * jpeg.output_width);
  while (jpeg.output_scanline < jpeg.output_height) {
    const uint32_t y = jpeg.output_scanline;
    JSAMPROW row = four ? scratch->data() : image->Row(y);
    if (jpeg_read_scanlines(&jpeg, &row, 1) != 1) {
      jpeg_destroy_decompress(&jpeg);
      return false;
    }
    if (four) CmykToRgb(row, jpeg.output_width, jpeg.saw_Adobe_marker, image->Row(y));
  }
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  return true;
}

}  // namespace

bool DecodeJpeg(absl::string_view file, uint32_t width, uint32_t height, uint32_t target_width,
                uint32_t target_height, Image* image) {
  std::vector<uint8_t> scratch;
  return Decode(file, width, height, target_width, target_height, image, &scratch);
}

}  // namespace navit::image_internal
