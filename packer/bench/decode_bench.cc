// The side of decode_bench.py that is C++: our decode + resize, and libjpeg-turbo's scaled decode
// alone.
//
//   decode_bench FOLDER
//
// Makes the images of every cell, writes them as FOLDER/CELL/N.jpg with FOLDER/CELL/targets.txt (a
// line "WIDTH HEIGHT" per image), and prints "CELL" for each, then an empty line. After that it
// answers each line "METHOD CELL" of its input with the CPU seconds of one thread for all images of
// that cell.
#include <time.h>

#include <cstddef>
#include <cstdio>

// jpeglib.h needs FILE and size_t.
#include <jpeglib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "packer/bench/photos.h"
#include "packer/image.h"
#include "packer/resize.h"

namespace navit {
namespace {

constexpr uint32_t kPatch = 16;
// Each of kPhotos different images is decoded for kDraws / kPhotos drawn sides.
constexpr uint32_t kPhotos = 8;
constexpr uint32_t kDraws = 32;

struct Cell {
  uint32_t width, height;
  std::vector<std::string> files;
  std::vector<Grid> grids;
};

double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Cell MakeCell(uint32_t width, uint32_t height, double bits_per_pixel) {
  Cell cell = {width, height, {}, DrawGrids(width, height, kDraws, width)};
  std::vector<std::string> photos;
  for (uint32_t i = 0; i < kPhotos; ++i) {
    photos.push_back(MakePhoto(width, height, bits_per_pixel, 1000 + i));
  }
  for (uint32_t i = 0; i < kDraws; ++i) cell.files.push_back(photos[i % kPhotos]);
  return cell;
}

void Write(const std::string& folder, const Cell& cell) {
  std::filesystem::create_directories(folder);
  std::ofstream targets(folder + "/targets.txt");
  for (uint32_t i = 0; i < kDraws; ++i) {
    std::ofstream(folder + "/" + std::to_string(i) + ".jpg", std::ios::binary) << cell.files[i];
    targets << cell.grids[i].columns * kPatch << " " << cell.grids[i].rows * kPatch << "\n";
  }
  if (!targets.flush()) {
    std::fprintf(stderr, "decode_bench: cannot write %s\n", folder.c_str());
    std::exit(1);
  }
}

// What PackMaker does with an image.
class Ours {
 public:
  void Run(const Cell& cell, uint32_t i) {
    const uint32_t width = cell.grids[i].columns * kPatch, height = cell.grids[i].rows * kPatch;
    if (DecodeImage(cell.files[i], v1::ShardIndex::JPEG, cell.width, cell.height, width, height,
                    &decoded_) != v1::HOLE_REASON_NONE) {
      std::abort();
    }
    ResizeImage(decoded_, width, height, Interpolation::kBicubic, &scratch_, &result_);
  }

 private:
  DecodedImage decoded_;
  ResizeScratch scratch_;
  Image result_;
};

// Decode to RGB with the library's fastest settings, one decompressor and buffer for all images, at
// the least scale that holds the target: of the powers of two (as ours: the fastest), or of all
// eighths.
class Limit {
 public:
  explicit Limit(bool all_eighths) : all_eighths_(all_eighths) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_create_decompress(&jpeg_);
  }
  ~Limit() { jpeg_destroy_decompress(&jpeg_); }

  void Run(const Cell& cell, uint32_t i) {
    const std::string& file = cell.files[i];
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    jpeg_read_header(&jpeg_, TRUE);
    unsigned n = 1;
    while (n < 8 && ((cell.width * n + 7) / 8 < cell.grids[i].columns * kPatch ||
                     (cell.height * n + 7) / 8 < cell.grids[i].rows * kPatch)) {
      n = all_eighths_ ? n + 1 : n * 2;
    }
    jpeg_.scale_num = n;
    jpeg_.scale_denom = 8;
    jpeg_.do_fancy_upsampling = FALSE;
    jpeg_start_decompress(&jpeg_);
    const size_t stride = size_t{3} * jpeg_.output_width;
    if (pixels_.size() < stride * jpeg_.output_height) pixels_.resize(stride * jpeg_.output_height);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW row = pixels_.data() + stride * jpeg_.output_scanline;
      jpeg_read_scanlines(&jpeg_, &row, 1);
    }
    jpeg_finish_decompress(&jpeg_);
  }

 private:
  const bool all_eighths_;
  jpeg_decompress_struct jpeg_;
  jpeg_error_mgr errors_;
  std::vector<uint8_t> pixels_;
};

template <class Method>
double Measure(Method* method, const Cell& cell) {
  const double begin = CpuSeconds();
  for (uint32_t i = 0; i < kDraws; ++i) method->Run(cell, i);
  return CpuSeconds() - begin;
}

int Main(const std::string& folder) {
  std::map<std::string, Cell> cells;
  for (const auto& [width, height] :
       {std::pair<uint32_t, uint32_t>{640, 480}, {1024, 768}, {2048, 1536}}) {
    for (const char* bits : {"1.3", "2.7"}) {
      const std::string name = std::to_string(width) + "x" + std::to_string(height) + "@" + bits;
      Cell& cell = cells[name] = MakeCell(width, height, std::atof(bits));
      Write(folder + "/" + name, cell);
      std::cout << name << "\n";
    }
  }
  std::cout << std::endl;
  Ours ours;
  Limit limit(false), limit_eighths(true);
  std::string method, name;
  while (std::cin >> method >> name) {
    const Cell& cell = cells.at(name);
    const double seconds = method == "ours"    ? Measure(&ours, cell)
                           : method == "limit" ? Measure(&limit, cell)
                                               : Measure(&limit_eighths, cell);
    std::cout << seconds << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: decode_bench FOLDER\n");
    return 2;
  }
  return navit::Main(argv[1]);
}
