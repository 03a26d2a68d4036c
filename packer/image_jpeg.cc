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

// Smallest numerator of n/8, of those with a fast transform, that keeps at least the target.
unsigned ScaleNumerator(uint32_t width, uint32_t height, uint32_t target_width,
                        uint32_t target_height) {
  for (unsigned n = 1; n < 8; n *= 2) {
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

// How the planes of `jpeg` are to be read; false: colours that are not for us.
bool PlaneColors(const jpeg_decompress_struct& jpeg, DecodedImage::Colors* colors) {
  switch (jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
      *colors = DecodedImage::Colors::kGrey;
      return jpeg.num_components == 1;
    case JCS_RGB:
      *colors = DecodedImage::Colors::kRgbPlanes;
      return jpeg.num_components == 3;
    case JCS_YCbCr:
      *colors = DecodedImage::Colors::kYcc;
      return jpeg.num_components == 3;
    default:
      return false;
  }
}

// The components as they leave the inverse transform: no upsampling, no conversion of colours.
bool ReadPlanes(jpeg_decompress_struct* jpeg, DecodedImage* image) {
  // Most rows of a component that one call hands out: 4 blocks of 8.
  constexpr int kMostRows = 32;
  JSAMPROW rows[3][kMostRows];
  JSAMPARRAY components[3] = {rows[0], rows[1], rows[2]};
  const int lines = jpeg->max_v_samp_factor * jpeg->min_DCT_scaled_size;
  const uint32_t calls = (jpeg->output_height + lines - 1) / lines;
  for (int c = 0; c < jpeg->num_components; ++c) {
    const jpeg_component_info& info = jpeg->comp_info[c];
    const uint32_t block = info.DCT_scaled_size;
    DecodedImage::Plane& plane = image->planes[c];
    // Room for whole blocks; then what of them belongs to the image.
    plane.samples.Resize(info.width_in_blocks * block, calls * info.v_samp_factor * block, 1);
    plane.samples.width = info.downsampled_width;
    plane.samples.height = info.downsampled_height;
    plane.left = plane.top = 0;
    plane.extent_width =
        static_cast<double>(uint64_t{jpeg->image_width} * info.h_samp_factor * block) /
        (jpeg->max_h_samp_factor * DCTSIZE);
    plane.extent_height =
        static_cast<double>(uint64_t{jpeg->image_height} * info.v_samp_factor * block) /
        (jpeg->max_v_samp_factor * DCTSIZE);
  }
  for (uint32_t call = 0; call < calls; ++call) {
    for (int c = 0; c < jpeg->num_components; ++c) {
      const jpeg_component_info& info = jpeg->comp_info[c];
      const int count = info.v_samp_factor * info.DCT_scaled_size;
      for (int r = 0; r < count; ++r) rows[c][r] = image->planes[c].samples.Row(call * count + r);
    }
    if (jpeg_read_raw_data(jpeg, components, lines) != static_cast<JDIMENSION>(lines)) return false;
  }
  return true;
}

bool ReadCmyk(jpeg_decompress_struct* jpeg, DecodedImage* decoded, std::vector<uint8_t>* scratch) {
  Image* const image = decoded->MakeRgb(jpeg->output_width, jpeg->output_height);
  scratch->resize(size_t{4} * jpeg->output_width);
  while (jpeg->output_scanline < jpeg->output_height) {
    const uint32_t y = jpeg->output_scanline;
    JSAMPROW row = scratch->data();
    if (jpeg_read_scanlines(jpeg, &row, 1) != 1) return false;
    CmykToRgb(row, jpeg->output_width, jpeg->saw_Adobe_marker, image->Row(y));
  }
  return true;
}

// Between setjmp and the end lies nothing with a destructor: `image` and `scratch` are the
// caller's, so that an escape leaks nothing.
bool Decode(absl::string_view file, uint32_t width, uint32_t height, uint32_t target_width,
            uint32_t target_height, DecodedImage* image, std::vector<uint8_t>* scratch) {
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
  const bool four = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  bool whole = jpeg.image_width == width && jpeg.image_height == height &&
               (four || PlaneColors(jpeg, &image->colors));
  if (whole) {
    jpeg.scale_num = ScaleNumerator(width, height, target_width, target_height);
    jpeg.scale_denom = 8;
    // The accurate integer transform has the same bits with and without SIMD.
    jpeg.dct_method = JDCT_ISLOW;
    if (four) {
      jpeg.out_color_space = JCS_CMYK;
      jpeg.do_fancy_upsampling = jpeg.scale_num == 8;
    } else {
      jpeg.raw_data_out = TRUE;
    }
    jpeg_start_decompress(&jpeg);
    whole = four ? ReadCmyk(&jpeg, image, scratch) : ReadPlanes(&jpeg, image);
  }
  if (whole) jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  return whole;
}

}  // namespace

bool DecodeJpeg(absl::string_view file, uint32_t width, uint32_t height, uint32_t target_width,
                uint32_t target_height, DecodedImage* image) {
  std::vector<uint8_t> scratch;
  return Decode(file, width, height, target_width, target_height, image, &scratch);
}

}  // namespace navit::image_internal
