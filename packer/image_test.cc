#include "packer/image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "packer/image_header.h"
#include "packer/limits.h"
#include "packer/resize.h"
#include "packer/testing/encode.h"

namespace navit {
namespace {

using testing::AddWebpOrientation;
using testing::EncodeAnimatedWebp;
using testing::EncodeJpeg;
using testing::EncodePng;
using testing::EncodeWebp;
using testing::JpegOptions;
using testing::MakePicture;
using testing::PngKind;

// Decodes at full size after reading the header, as the packer does, and converts to RGB.
v1::HoleReason Decode(const std::string& bytes, Image* image, const Rgb& background = kWhite) {
  const ImageHeader header = ReadImageHeader(bytes);
  DecodedImage decoded;
  const v1::HoleReason reason = DecodeImage(bytes, header.format, header.width, header.height,
                                            header.width, header.height, &decoded, background);
  if (reason != v1::HOLE_REASON_NONE) return reason;
  ResizeScratch scratch;
  ResizeImage(decoded, header.width, header.height, &scratch, image);
  return reason;
}

double MeanDifference(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  double sum = 0;
  for (uint32_t y = 0; y < a.height; ++y) {
    for (uint32_t x = 0; x < 3 * a.width; ++x) sum += std::abs(a.Row(y)[x] - b.Row(y)[x]);
  }
  return sum / (3.0 * a.width * a.height);
}

// `image` with every channel the grey that the PNG encoder of the tests makes.
Image Grey(const Image& image) {
  Image grey = image;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      uint8_t* p = grey.Row(y) + 3 * x;
      p[0] = p[1] = p[2] = static_cast<uint8_t>((p[0] + 2 * p[1] + p[2]) / 4);
    }
  }
  return grey;
}

// Over a colour with an alpha that rises from left to right.
Image Faded(const Image& image, const Rgb& background = kWhite) {
  Image faded = image;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      const double alpha = (255 * x / (image.width - 1)) / 255.0;
      for (int c = 0; c < 3; ++c) {
        uint8_t* p = faded.Row(y) + 3 * x + c;
        *p = static_cast<uint8_t>(*p * alpha + background[c] * (1 - alpha) + 0.5);
      }
    }
  }
  return faded;
}

// `image` with every pixel what `change` makes of it.
Image Map(const Image& image, const std::function<Rgb(const uint8_t*)>& change) {
  Image result = image;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      const Rgb pixel = change(image.Row(y) + 3 * x);
      std::copy(pixel.begin(), pixel.end(), result.Row(y) + 3 * x);
    }
  }
  return result;
}

// `image` in the 64 colours of the tests' palette.
Image Quantised(const Image& image) {
  Image quantised = image;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < 3 * image.width; ++x) {
      quantised.Row(y)[x] = static_cast<uint8_t>(image.Row(y)[x] / 64 * 85);
    }
  }
  return quantised;
}

TEST(DecodePng, EveryKind) {
  const Image picture = MakePicture(61, 37, 5);
  Image image;
  for (const bool interlaced : {false, true}) {
    for (const PngKind kind : {PngKind::kRgb, PngKind::kRgb16}) {
      ASSERT_EQ(Decode(EncodePng(picture, kind, interlaced), &image), v1::HOLE_REASON_NONE);
      EXPECT_EQ(MeanDifference(image, picture), 0);
    }
    for (const PngKind kind : {PngKind::kGrey, PngKind::kGrey16}) {
      ASSERT_EQ(Decode(EncodePng(picture, kind, interlaced), &image), v1::HOLE_REASON_NONE);
      EXPECT_EQ(MeanDifference(image, Grey(picture)), 0);
    }
    ASSERT_EQ(Decode(EncodePng(picture, PngKind::kRgba, interlaced), &image), v1::HOLE_REASON_NONE);
    EXPECT_LT(MeanDifference(image, Faded(picture)), 0.01);
    ASSERT_EQ(Decode(EncodePng(picture, PngKind::kGreyAlpha, interlaced), &image),
              v1::HOLE_REASON_NONE);
    EXPECT_LT(MeanDifference(image, Faded(Grey(picture))), 0.01);
    ASSERT_EQ(Decode(EncodePng(picture, PngKind::kPalette, interlaced), &image),
              v1::HOLE_REASON_NONE);
    EXPECT_EQ(MeanDifference(image, Quantised(picture)), 0);
    ASSERT_EQ(Decode(EncodePng(picture, PngKind::kGrey1, interlaced), &image),
              v1::HOLE_REASON_NONE);
    EXPECT_EQ(MeanDifference(image, Map(Grey(picture),
                                        [](const uint8_t* p) -> Rgb {
                                          const uint8_t level = p[0] >= 128 ? 255 : 0;
                                          return {level, level, level};
                                        })),
              0);
  }
}

// Whatever says that a pixel is transparent, the background is seen there.
TEST(DecodePng, TransparencyShowsTheBackground) {
  const Image picture = MakePicture(61, 37, 5);
  Image image;
  for (const Rgb& background : {kWhite, Rgb{0, 0, 0}, Rgb{10, 200, 90}}) {
    for (const bool interlaced : {false, true}) {
      for (const PngKind kind : {PngKind::kRgba, PngKind::kRgba16}) {
        ASSERT_EQ(Decode(EncodePng(picture, kind, interlaced), &image, background),
                  v1::HOLE_REASON_NONE);
        EXPECT_LT(MeanDifference(image, Faded(picture, background)), 0.01);
      }
      ASSERT_EQ(
          Decode(EncodePng(picture, PngKind::kTransparentPalette, interlaced), &image, background),
          v1::HOLE_REASON_NONE);
      const Image palette = Map(picture, [&](const uint8_t* p) {
        const double alpha = (p[0] / 64 * 16 + p[1] / 64 * 4 + p[2] / 64) * 4 / 255.0;
        Rgb seen;
        for (int c = 0; c < 3; ++c) {
          seen[c] = static_cast<uint8_t>(p[c] / 64 * 85 * alpha + background[c] * (1 - alpha) + .5);
        }
        return seen;
      });
      EXPECT_LT(MeanDifference(image, palette), 0.01);
      for (const PngKind kind : {PngKind::kGreyKey, PngKind::kGrey16Key, PngKind::kRgb16Key}) {
        const Image plain = kind == PngKind::kRgb16Key ? picture : Grey(picture);
        int holes = 0;
        const Image keyed = Map(plain, [&](const uint8_t* p) {
          const bool key = std::equal(p, p + 3, plain.Row(0));
          holes += key ? 1 : 0;
          return key ? background : Rgb{p[0], p[1], p[2]};
        });
        ASSERT_GT(holes, 0);
        ASSERT_EQ(Decode(EncodePng(picture, kind, interlaced), &image, background),
                  v1::HOLE_REASON_NONE);
        EXPECT_EQ(MeanDifference(image, keyed), 0) << static_cast<int>(kind);
      }
    }
  }
}

TEST(DecodeJpeg, ColourGreyProgressiveAndCmyk) {
  const Image picture = MakePicture(61, 37, 5);
  Image image;
  JpegOptions options;
  options.quality = 100;
  ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
  EXPECT_LT(MeanDifference(image, picture), 6);
  options.progressive = true;
  ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
  EXPECT_LT(MeanDifference(image, picture), 6);
  options.cmyk = true;  // no chroma subsampling: nearly exact
  ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
  EXPECT_LT(MeanDifference(image, picture), 1);
  options.cmyk = false;
  options.grey = true;
  ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
  EXPECT_EQ(image.Row(9)[30], image.Row(9)[31]);
  EXPECT_NEAR(image.Row(9)[30], picture.Row(9)[31], 3);
}

// Four inks: as they are or as luma and chroma, inverted as Adobe does or not.
TEST(DecodeJpeg, EveryKindOfCmyk) {
  const Image picture = MakePicture(61, 37, 5);
  JpegOptions options;
  options.quality = 100;
  options.cmyk = true;
  for (const bool ycck : {false, true}) {
    for (const bool adobe : {false, true}) {
      if (ycck && !adobe) continue;  // without the marker nothing says that it is YCCK
      for (const int black : {255, 128, 0}) {
        options.ycck = ycck;
        options.adobe = adobe;
        options.black = static_cast<uint8_t>(black);
        const Image expected = Map(picture, [&](const uint8_t* p) -> Rgb {
          return {static_cast<uint8_t>(p[0] * black / 255),
                  static_cast<uint8_t>(p[1] * black / 255),
                  static_cast<uint8_t>(p[2] * black / 255)};
        });
        Image image;
        ASSERT_EQ(Decode(EncodeJpeg(picture, options), &image), v1::HOLE_REASON_NONE);
        EXPECT_LT(MeanDifference(image, expected), ycck ? 6 : 1) << ycck << adobe << black;
      }
    }
  }
}

TEST(DecodeJpeg, ScalesToTheSmallestPowerOfTwoThatHoldsTheTarget) {
  const std::string bytes = EncodeJpeg(MakePicture(200, 100, 5));
  DecodedImage image;
  const struct {
    uint32_t target_width, target_height, width, height;
  } cases[] = {{200, 100, 200, 100}, {300, 10, 200, 100}, {25, 13, 25, 13},  {26, 1, 50, 25},
               {1, 1, 25, 13},       {100, 50, 100, 50},  {50, 26, 100, 50}, {101, 1, 200, 100}};
  for (const auto& c : cases) {
    ASSERT_EQ(
        DecodeImage(bytes, v1::ShardIndex::JPEG, 200, 100, c.target_width, c.target_height, &image),
        v1::HOLE_REASON_NONE);
    EXPECT_EQ(image.planes[0].samples.width, c.width);
    EXPECT_EQ(image.planes[0].samples.height, c.height);
  }
}

// Bicubic with antialias (Keys, a = -1/2) of RGB in real numbers, one axis after the other.
std::vector<double> ExactResize(const Image& image, uint32_t width, uint32_t height) {
  const auto kernel = [](double x) {
    x = std::abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0.0;
  };
  // [in][lines] to [out][lines], each entry a pixel.
  using Pixel = std::array<double, 3>;
  const auto resample = [&](const std::vector<Pixel>& from, uint32_t in, uint32_t lines,
                            uint32_t out) {
    std::vector<Pixel> to(size_t{out} * lines);
    const double scale = static_cast<double>(in) / out;
    const double widening = std::max(1.0, scale);
    for (uint32_t i = 0; i < out; ++i) {
      const double centre = (i + 0.5) * scale;
      double total = 0;
      for (uint32_t k = 0; k < in; ++k) {
        const double weight = kernel((k + 0.5 - centre) / widening);
        if (weight == 0) continue;
        total += weight;
        for (uint32_t l = 0; l < lines; ++l) {
          for (int c = 0; c < 3; ++c) {
            to[size_t{i} * lines + l][c] += weight * from[size_t{k} * lines + l][c];
          }
        }
      }
      for (uint32_t l = 0; l < lines; ++l) {
        for (double& value : to[size_t{i} * lines + l]) value /= total;
      }
    }
    return to;
  };
  const auto transpose = [](const std::vector<Pixel>& from, uint32_t rows, uint32_t columns) {
    std::vector<Pixel> to(from.size());
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t c = 0; c < columns; ++c)
        to[size_t{c} * rows + r] = from[size_t{r} * columns + c];
    }
    return to;
  };
  std::vector<Pixel> pixels;
  for (uint32_t y = 0; y < image.height; ++y) {
    for (uint32_t x = 0; x < image.width; ++x) {
      const uint8_t* p = image.Row(y) + size_t{3} * x;
      pixels.push_back({double(p[0]), double(p[1]), double(p[2])});
    }
  }
  pixels = resample(pixels, image.height, image.width, height);
  pixels = transpose(pixels, height, image.width);
  pixels = resample(pixels, image.width, height, width);
  pixels = transpose(pixels, width, height);
  std::vector<double> levels;
  for (const Pixel& pixel : pixels) {
    for (const double value : pixel) levels.push_back(std::clamp(value, 0.0, 255.0));
  }
  return levels;
}

// Scaled in the DCT domain and resized from planes, an image differs little from one that is
// decoded whole, turned into RGB and resized in real numbers.
TEST(DecodeJpeg, ScaledAndResizedIsNearTheWholeImageInRealArithmetic) {
  Image noisy = MakePicture(400, 304, 3);
  std::mt19937 random(5);
  std::normal_distribution<double> grain(0, 20);
  for (uint32_t y = 0; y < noisy.height; ++y) {
    for (uint32_t x = 0; x < noisy.width; ++x) {
      const double add = grain(random);
      for (int c = 0; c < 3; ++c) {
        uint8_t& level = noisy.Row(y)[3 * x + c];
        level = static_cast<uint8_t>(std::clamp(level + add, 0.0, 255.0));
      }
    }
  }
  const struct {
    const char* name;
    Image image;
    double mean, psnr;
  } pictures[] = {{"smooth", MakePicture(400, 304, 3), 1.5, 36}, {"noisy", noisy, 4, 34}};
  for (const auto& picture : pictures) {
    const std::string bytes = EncodeJpeg(picture.image);
    Image whole;
    ASSERT_EQ(Decode(bytes, &whole), v1::HOLE_REASON_NONE);
    // Scales of 1/8, 1/4, 1/2 and 1, near to the decoded size and far from it.
    for (const auto& [width, height] : {std::pair<uint32_t, uint32_t>{48, 32},
                                        {64, 48},
                                        {96, 64},
                                        {112, 80},
                                        {192, 144},
                                        {256, 192},
                                        {384, 288}}) {
      DecodedImage decoded;
      ASSERT_EQ(DecodeImage(bytes, v1::ShardIndex::JPEG, 400, 304, width, height, &decoded),
                v1::HOLE_REASON_NONE);
      ResizeScratch scratch;
      Image result;
      ResizeImage(decoded, width, height, &scratch, &result);
      const std::vector<double> exact = ExactResize(whole, width, height);
      double sum = 0, squares = 0;
      for (uint32_t y = 0; y < height; ++y) {
        for (uint32_t i = 0; i < 3 * width; ++i) {
          const double difference = result.Row(y)[i] - exact[size_t{3} * width * y + i];
          sum += std::abs(difference);
          squares += difference * difference;
        }
      }
      const double count = 3.0 * width * height;
      const double psnr = 10 * std::log10(255 * 255 * count / squares);
      EXPECT_LT(sum / count, picture.mean) << picture.name << " " << width << "x" << height;
      EXPECT_GT(psnr, picture.psnr) << picture.name << " " << width << "x" << height;
    }
  }
}

TEST(DecodeWebp, LossyLosslessAndAlpha) {
  const Image picture = MakePicture(61, 37, 5);
  Image image;
  ASSERT_EQ(Decode(EncodeWebp(picture, -1), &image), v1::HOLE_REASON_NONE);
  EXPECT_EQ(MeanDifference(image, picture), 0);
  ASSERT_EQ(Decode(EncodeWebp(picture, 95), &image), v1::HOLE_REASON_NONE);
  EXPECT_LT(MeanDifference(image, picture), 10);
  ASSERT_EQ(Decode(EncodeWebp(picture, -1, true), &image), v1::HOLE_REASON_NONE);
  // Colours under full transparency are the encoder's to choose; over white they do not show.
  EXPECT_LT(MeanDifference(image, Faded(picture)), 0.1);
}

TEST(DecodeWebp, FirstFrameOfAnAnimationOnItsCanvas) {
  const Image first = MakePicture(20, 12, 5), second = MakePicture(16, 10, 6);
  const Rgb background = {10, 200, 90};
  for (const bool alpha : {false, true}) {
    Image canvas;
    canvas.Resize(40, 30);
    const Image shown = alpha ? Faded(first, background) : first;
    for (uint32_t y = 0; y < 30; ++y) {
      for (uint32_t x = 0; x < 40; ++x) {
        const bool inside = x >= 6 && x < 26 && y >= 4 && y < 16;
        const uint8_t* from = inside ? shown.Row(y - 4) + 3 * (x - 6) : background.data();
        std::copy(from, from + 3, canvas.Row(y) + 3 * x);
      }
    }
    const std::string bytes = EncodeAnimatedWebp(40, 30, first, second, 6, 4, alpha);
    Image image;
    ASSERT_EQ(Decode(bytes, &image, background), v1::HOLE_REASON_NONE);
    EXPECT_LE(MeanDifference(image, canvas), alpha ? 0.1 : 0);
    // Frames that are cut off, or lie beside the canvas.
    EXPECT_EQ(Decode(bytes.substr(0, 100), &image), v1::HOLE_REASON_DECODE_ERROR);
    EXPECT_EQ(Decode(EncodeAnimatedWebp(20, 30, first, second, 6, 4, alpha), &image),
              v1::HOLE_REASON_DECODE_ERROR);
  }
}

TEST(DecodeImage, OnePixelAndExtremeAspect) {
  Image image;
  for (const auto& [width, height] : {std::pair<uint32_t, uint32_t>{1, 1}, {3000, 1}, {1, 3000}}) {
    const Image picture = MakePicture(width, height, 1);
    for (const std::string& bytes :
         {EncodeJpeg(picture), EncodePng(picture), EncodeWebp(picture, -1)}) {
      ASSERT_EQ(Decode(bytes, &image), v1::HOLE_REASON_NONE);
      EXPECT_EQ(image.width, width);
      EXPECT_EQ(image.height, height);
    }
  }
}

TEST(DecodeImage, BadFilesAreHoles) {
  const Image picture = MakePicture(61, 37, 5);
  DecodedImage image;
  JpegOptions progressive;
  progressive.progressive = true;
  for (const std::string& bytes :
       {EncodeJpeg(picture), EncodeJpeg(picture, progressive), EncodePng(picture),
        EncodeWebp(picture, -1), EncodeWebp(picture, 80)}) {
    const ImageHeader header = ReadImageHeader(bytes);
    // Truncated anywhere behind its header.
    for (size_t size = bytes.size() / 2; size + 20 < bytes.size(); size += 31) {
      EXPECT_EQ(DecodeImage(bytes.substr(0, size), header.format, 61, 37, 61, 37, &image),
                v1::HOLE_REASON_DECODE_ERROR)
          << size;
    }
    // Not of the size that the index states.
    EXPECT_EQ(DecodeImage(bytes, header.format, 62, 37, 61, 37, &image),
              v1::HOLE_REASON_DECODE_ERROR);
    // Another format's bytes, and none.
    EXPECT_EQ(DecodeImage("", header.format, 61, 37, 61, 37, &image), v1::HOLE_REASON_DECODE_ERROR);
    EXPECT_EQ(DecodeImage("junk that is no image", header.format, 61, 37, 61, 37, &image),
              v1::HOLE_REASON_DECODE_ERROR);
  }
  EXPECT_EQ(DecodeImage("GIF89a", v1::ShardIndex::IMAGE_FORMAT_OTHER, 6, 3, 6, 3, &image),
            v1::HOLE_REASON_UNSUPPORTED_FORMAT);
}

TEST(DecodeImage, BombsAreRefusedByTheirHeader) {
  // A PNG of 61 x 37 whose header says 60,000 x 60,000.
  std::string bytes = EncodePng(MakePicture(61, 37, 5));
  bytes.replace(16, 8, std::string("\0\0\xEA\x60\0\0\xEA\x60", 8));
  const ImageHeader header = ReadImageHeader(bytes);
  EXPECT_EQ(header.width, 60000u);
  DecodedImage image;
  EXPECT_EQ(DecodeImage(bytes, header.format, 60000, 60000, 16, 16, &image),
            v1::HOLE_REASON_TOO_LARGE);
  EXPECT_TRUE(image.planes[0].samples.bytes.empty());
}

// Any damage gives a picture or a hole, never a crash (run with --config=asan too).
TEST(DecodeImage, FlippedBitsNeverCrash) {
  std::mt19937 random(11);
  const Image picture = MakePicture(40, 24, 5);
  JpegOptions progressive;
  progressive.progressive = true;
  int holes = 0;
  for (const std::string& bytes :
       {EncodeJpeg(picture), EncodeJpeg(picture, progressive), EncodePng(picture),
        EncodePng(picture, PngKind::kTransparentPalette, true), EncodeWebp(picture, -1),
        EncodeWebp(picture, 80, true)}) {
    for (int round = 0; round < 200; ++round) {
      std::string bad = bytes;
      for (int flips = 0; flips < 3; ++flips) {
        bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
      }
      Image image;
      if (Decode(bad, &image) != v1::HOLE_REASON_NONE) ++holes;
    }
  }
  EXPECT_GT(holes, 100);
}

TEST(ReadImageHeader, OrientationOfEveryFormat) {
  const Image picture = MakePicture(40, 24, 5);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    JpegOptions options;
    options.orientation = orientation;
    std::vector<std::string> files = {EncodeJpeg(picture, options),
                                      EncodePng(picture, PngKind::kPalette, true, orientation)};
    for (const std::string& webp :
         {EncodeWebp(picture, -1), EncodeWebp(picture, 80), EncodeWebp(picture, 80, true)}) {
      for (const bool prefixed : {false, true}) {
        files.push_back(AddWebpOrientation(webp, picture, orientation, prefixed));
      }
    }
    for (const std::string& file : files) {
      const ImageHeader header = ReadImageHeader(file);
      EXPECT_EQ(header.orientation, static_cast<uint32_t>(orientation));
      EXPECT_EQ(header.width, 40u);
      EXPECT_EQ(header.height, 24u);
      Image image;
      EXPECT_EQ(Decode(file, &image), v1::HOLE_REASON_NONE);
    }
  }
}

TEST(ReadImageHeader, NeverReadsPastTheEnd) {
  const Image picture = MakePicture(40, 24, 5);
  JpegOptions options;
  options.orientation = 6;
  for (const std::string& bytes :
       {EncodeJpeg(picture, options), EncodePng(picture, PngKind::kRgb, false, 6),
        EncodeWebp(picture, 80), AddWebpOrientation(EncodeWebp(picture, 80), picture, 6, true)}) {
    const ImageHeader whole = ReadImageHeader(bytes);
    EXPECT_EQ(whole.width, 40u);
    EXPECT_EQ(whole.height, 24u);
    for (size_t size = 0; size < bytes.size(); ++size) {
      // A copy of exactly this size, so that ASan sees any read beyond it.
      const std::string part(bytes.data(), size);
      const ImageHeader header = ReadImageHeader(part);
      EXPECT_TRUE(header.width == 0 || header.width == 40);
    }
  }
}

// 2 x 3 pixels, numbered by row.
Image Numbered() {
  Image image;
  image.Resize(2, 3);
  for (uint32_t y = 0; y < 3; ++y) {
    for (uint32_t x = 0; x < 2; ++x) image.Row(y)[3 * x] = static_cast<uint8_t>(2 * y + x);
  }
  return image;
}

TEST(FlippedOrientation, MirrorsWhatIsSeen) {
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    Image seen, mirrored, flipped;
    ApplyOrientation(Numbered(), orientation, &seen);
    ApplyOrientation(seen, 2, &mirrored);
    ApplyOrientation(Numbered(), FlippedOrientation(orientation), &flipped);
    EXPECT_EQ(MeanDifference(mirrored, flipped), 0) << orientation;
  }
}

// The stored part, oriented, is the part of the oriented picture.
TEST(StoredPart, OfEveryOrientation) {
  const Image picture = MakePicture(23, 14, 3);
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    Image seen;
    ApplyOrientation(picture, orientation, &seen);
    const Part part = {3, 5, 8, 4};
    Image expected;
    expected.Resize(part.width, part.height);
    for (uint32_t y = 0; y < part.height; ++y) {
      std::copy_n(seen.Row(part.top + y) + 3 * part.left, 3 * part.width, expected.Row(y));
    }
    DecodedImage stored;
    *stored.MakeRgb(23, 14) = picture;
    const Part there = StoredPart(part, orientation, 23, 14);
    CropTo(there, 23, 14, &stored);
    Image oriented;
    ApplyOrientation(stored.planes[0].samples, orientation, &oriented);
    EXPECT_EQ(MeanDifference(oriented, expected), 0) << orientation;
  }
}

// Planes of other sizes than the picture keep the place of the part within a sample.
TEST(CropTo, PlanesOfOtherSizes) {
  DecodedImage image;
  const std::string bytes = EncodeJpeg(MakePicture(203, 101, 5));
  ASSERT_EQ(DecodeImage(bytes, v1::ShardIndex::JPEG, 203, 101, 100, 50, &image),
            v1::HOLE_REASON_NONE);
  ASSERT_EQ(image.planes[0].samples.width, 102u);
  CropTo({31, 7, 70, 50}, 203, 101, &image);
  const DecodedImage::Plane& luma = image.planes[0];
  EXPECT_EQ(luma.left, 0.5);  // 15.5 at half the size
  EXPECT_EQ(luma.top, 0.5);
  EXPECT_EQ(luma.extent_width, 35);
  EXPECT_EQ(luma.extent_height, 25);
  EXPECT_EQ(luma.samples.width, 36u);
  EXPECT_EQ(luma.samples.height, 26u);
}

TEST(ApplyOrientation, AllEight) {
  const Image source = Numbered();
  const struct {
    uint32_t orientation, width, height;
    std::vector<int> pixels;
  } cases[] = {{1, 2, 3, {0, 1, 2, 3, 4, 5}}, {2, 2, 3, {1, 0, 3, 2, 5, 4}},
               {3, 2, 3, {5, 4, 3, 2, 1, 0}}, {4, 2, 3, {4, 5, 2, 3, 0, 1}},
               {5, 3, 2, {0, 2, 4, 1, 3, 5}}, {6, 3, 2, {4, 2, 0, 5, 3, 1}},
               {7, 3, 2, {5, 3, 1, 4, 2, 0}}, {8, 3, 2, {1, 3, 5, 0, 2, 4}}};
  for (const auto& c : cases) {
    Image result;
    ApplyOrientation(source, c.orientation, &result);
    ASSERT_EQ(result.width, c.width);
    ASSERT_EQ(result.height, c.height);
    for (uint32_t i = 0; i < 6; ++i) {
      EXPECT_EQ(result.Row(i / c.width)[3 * (i % c.width)], c.pixels[i])
          << c.orientation << " " << i;
    }
  }
}

}  // namespace
}  // namespace navit
