#include "packer/preview/sequence_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "packer/image.h"
#include "packer/preview/canvas.h"
#include "packer/resize.h"

namespace navit {
namespace {

// Pixels of the page.
constexpr int kMargin = 40;
constexpr int kLabel = 168;
constexpr int kLabelHeight = 84;
constexpr int kContent = 1520;
constexpr int kTop = 152;
constexpr int kBand = 26;
constexpr int kBar = 22;
constexpr int kRowGap = 34;
constexpr int kImageGap = 6;
constexpr int kTallestImage = 260;
// Below this many pixels a patch no grid is drawn.
constexpr double kLeastGrid = 4;

constexpr Rgb kInk = {38, 42, 51};
constexpr Rgb kFaint = {112, 118, 130};
constexpr Rgb kRule = {218, 221, 227};
constexpr Rgb kBlank = {229, 231, 236};
constexpr Rgb kBlankEdge = {244, 245, 247};
constexpr Rgb kPadding = {158, 163, 173};
// Of ink over an image's colour, where its prefix tokens stand.
constexpr double kPrefixShade = 0.6;
// Neighbours differ, and white figures can be read on each.
constexpr std::array<Rgb, 8> kAccents = {{{66, 104, 156},
                                          {205, 112, 42},
                                          {76, 134, 84},
                                          {160, 82, 130},
                                          {60, 138, 148},
                                          {186, 68, 66},
                                          {132, 108, 52},
                                          {106, 92, 172}}};

// One image of a sequence.
struct Segment {
  uint32_t rows = 0;
  uint32_t columns = 0;
  // Places in the sequence: its prefix tokens and the patches that stayed.
  uint32_t first_token = 0;
  uint32_t tokens = 0;
  // [rows x columns]: the patch stayed.
  std::vector<bool> kept;
  // The image with its dropped patches blank.
  DecodedImage pixels;
};

struct Sequence {
  std::vector<Segment> segments;
  uint32_t tokens = 0;
  int holes = 0;
};

uint16_t U16(const std::string& bytes, size_t index) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[2 * index]) |
                               static_cast<uint8_t>(bytes[2 * index + 1]) << 8);
}

absl::StatusOr<Sequence> ReadPack(const v1::Pack& pack, uint32_t prefix_tokens) {
  const absl::Status wrong = absl::InvalidArgumentError("not a pack: its columns do not fit");
  const int examples = pack.samples_size();
  if (pack.image_tokens_size() != examples || pack.grid_rows_size() != examples ||
      pack.grid_columns_size() != examples || pack.patch_size() == 0) {
    return wrong;
  }
  const uint32_t p = pack.patch_size();
  const size_t patch_bytes = size_t{3} * p * p;
  Sequence sequence;
  // Patches of the pack so far.
  size_t begin = 0;
  for (int e = 0; e < examples; ++e) {
    const uint32_t patches = pack.image_tokens(e);
    if (patches == 0) {
      ++sequence.holes;
      continue;
    }
    Segment segment;
    segment.tokens = prefix_tokens + patches;
    segment.rows = pack.grid_rows(e);
    segment.columns = pack.grid_columns(e);
    segment.first_token = sequence.tokens;
    const size_t end = begin + patches;
    if (pack.patches().size() < end * patch_bytes || pack.positions().size() < end * 4 ||
        segment.rows == 0 || segment.columns == 0 ||
        uint64_t{segment.rows} * segment.columns < patches) {
      return wrong;
    }
    segment.kept.resize(size_t{segment.rows} * segment.columns);
    Image* image = segment.pixels.MakeRgb(segment.columns * p, segment.rows * p);
    for (uint32_t y = 0; y < image->height; ++y) {
      uint8_t* row = image->Row(y);
      for (uint32_t x = 0; x < 3 * image->width; ++x) row[x] = kBlank[x % 3];
    }
    for (size_t t = begin; t < end; ++t) {
      const uint32_t r = U16(pack.positions(), 2 * t);
      const uint32_t c = U16(pack.positions(), 2 * t + 1);
      if (r >= segment.rows || c >= segment.columns) return wrong;
      segment.kept[size_t{r} * segment.columns + c] = true;
      for (uint32_t y = 0; y < p; ++y) {
        std::memcpy(image->Row(r * p + y) + size_t{3} * c * p,
                    pack.patches().data() + t * patch_bytes + size_t{3} * y * p, size_t{3} * p);
      }
    }
    begin = end;
    sequence.tokens += segment.tokens;
    sequence.segments.push_back(std::move(segment));
  }
  return sequence;
}

int Pixels(uint32_t patches, double scale) {
  return std::max(1, static_cast<int>(std::lround(patches * scale)));
}

// Pixels a patch so that every sequence's images fit side by side, and none is too tall.
double CommonScale(const std::vector<Sequence>& sequences, uint32_t patch_size) {
  double scale = patch_size;
  for (const Sequence& sequence : sequences) {
    double columns = 0;
    for (const Segment& segment : sequence.segments) {
      columns += segment.columns;
      scale = std::min(scale, static_cast<double>(kTallestImage) / segment.rows);
    }
    // Of gaps and rounding.
    const double spare = static_cast<double>(sequence.segments.size()) * (kImageGap + 0.5);
    if (columns > 0) scale = std::min(scale, std::max(kContent / 3.0, kContent - spare) / columns);
  }
  return scale >= 1 ? std::floor(scale * 4) / 4 : scale;
}

void DrawImage(const Segment& segment, const Box& box, double scale, Rgb accent,
               ResizeScratch* scratch, Canvas* canvas) {
  Image picture;
  ResizeImage(segment.pixels, static_cast<uint32_t>(box.width), static_cast<uint32_t>(box.height),
              Interpolation::kBicubic, scratch, &picture);
  canvas->Paste(box.left, box.top, picture);
  if (scale >= kLeastGrid) {
    for (uint32_t r = 0; r < segment.rows; ++r) {
      for (uint32_t c = 0; c < segment.columns; ++c) {
        const int left = box.left + Pixels(c, scale) * (c > 0);
        const int top = box.top + Pixels(r, scale) * (r > 0);
        const Box cell = {left, top, box.left + Pixels(c + 1, scale) - left,
                          box.top + Pixels(r + 1, scale) - top};
        const bool kept = segment.kept[size_t{r} * segment.columns + c];
        if (!kept) canvas->Fill(cell, kBlank);
        const Rgb edge = kept ? Rgb{255, 255, 255} : kBlankEdge;
        const double opacity = kept ? 0.4 : 1;
        canvas->Fill({cell.left, cell.bottom() - 1, cell.width, 1}, edge, opacity);
        canvas->Fill({cell.right() - 1, cell.top, 1, cell.height - 1}, edge, opacity);
      }
    }
  }
  canvas->Outline({box.left - 2, box.top - 2, box.width + 4, box.height + 4}, accent, 2);
}

int TallestImage(const Sequence& sequence, double scale) {
  int tallest = 0;
  for (const Segment& segment : sequence.segments) {
    tallest = std::max(tallest, Pixels(segment.rows, scale));
  }
  return std::max(tallest, kLabelHeight - kBand - kBar);
}

// The place on the bar where token `token` begins.
int BarPlace(uint32_t token, uint32_t sequence_length) {
  return kMargin + kLabel +
         static_cast<int>(int64_t{kContent} * std::min(token, sequence_length) / sequence_length);
}

void DrawLabel(const Sequence& sequence, uint32_t length, int number, int bottom, Canvas* canvas) {
  const std::string fill = absl::StrFormat("%.1f %%", 100.0 * sequence.tokens / length);
  std::string images =
      absl::StrCat(sequence.segments.size(), sequence.segments.size() == 1 ? " image" : " images");
  if (sequence.holes > 0) {
    absl::StrAppend(&images, ", ", sequence.holes, sequence.holes == 1 ? " hole" : " holes");
  }
  const int line = Canvas::TextHeight() + 3;
  int top = bottom - kLabelHeight;
  canvas->Text(kMargin, top, absl::StrCat("sequence ", number), kFaint);
  canvas->Text(kMargin, top += line, fill, kInk, true, 2);
  canvas->Text(kMargin, top += Canvas::TextHeight(2) + 3, images, kInk);
  canvas->Text(kMargin, top + line, absl::StrCat(sequence.tokens, "/", length), kFaint);
}

void DrawSequence(const Sequence& sequence, const SequenceCaption& caption, double scale, int top,
                  ResizeScratch* scratch, Canvas* canvas) {
  const uint32_t length = caption.sequence_length;
  const int base = top + TallestImage(sequence, scale);
  const int bar = base + kBand;
  std::vector<int> widths;
  std::vector<double> centres;
  for (const Segment& segment : sequence.segments) {
    widths.push_back(Pixels(segment.columns, scale));
    centres.push_back((BarPlace(segment.first_token, length) +
                       BarPlace(segment.first_token + segment.tokens, length)) /
                      2.0);
  }
  // Where gaps do not fit between very many images, they go.
  int needed = 0;
  for (const int width : widths) needed += width;
  const int gaps = std::max<int>(1, static_cast<int>(widths.size()) - 1);
  const int gap = std::clamp((kContent - needed) / gaps, 0, kImageGap);
  const std::vector<int> lefts = preview_internal::PlaceInOrder(
      widths, centres, gap, kMargin + kLabel + 2, kMargin + kLabel + kContent - 2);

  canvas->Fill({kMargin + kLabel, bar, kContent, kBar}, {255, 255, 255});
  for (size_t i = 0; i < sequence.segments.size(); ++i) {
    const Segment& segment = sequence.segments[i];
    const Rgb accent = kAccents[i % kAccents.size()];
    const int left = BarPlace(segment.first_token, length);
    const int right = BarPlace(segment.first_token + segment.tokens, length);
    canvas->Trapezoid(base + 2, lefts[i] - 2, lefts[i] + widths[i] + 2, bar, left, right, accent,
                      0.22);
    canvas->Fill({left, bar, right - left, kBar}, accent);
    const int patches = BarPlace(segment.first_token + caption.prefix_tokens, length);
    canvas->Fill({left, bar, patches - left, kBar}, kInk, kPrefixShade);
    canvas->Fill({right - 1, bar, 1, kBar}, {255, 255, 255});
    const std::string tokens = absl::StrCat(segment.tokens);
    if (Canvas::TextWidth(tokens) + 4 <= right - left) {
      canvas->Text(left + (right - left - Canvas::TextWidth(tokens)) / 2,
                   bar + (kBar - Canvas::TextHeight()) / 2 + 1, tokens, {255, 255, 255});
    }
  }
  const int end = BarPlace(sequence.tokens, length);
  canvas->Hatch({end, bar, kMargin + kLabel + kContent - end, kBar}, kPadding);
  canvas->Outline({kMargin + kLabel - 1, bar - 1, kContent + 2, kBar + 2}, kInk);
  for (size_t i = 0; i < sequence.segments.size(); ++i) {
    const Segment& segment = sequence.segments[i];
    const int height = Pixels(segment.rows, scale);
    DrawImage(segment, {lefts[i], base - height, widths[i], height}, scale,
              kAccents[i % kAccents.size()], scratch, canvas);
  }
}

// What the signs mean, on one line.
void DrawLegend(int top, bool prefix, Canvas* canvas) {
  int x = kMargin;
  const auto word = [&](absl::string_view text) {
    canvas->Text(x, top + 1, text, kFaint);
    x += Canvas::TextWidth(text) + 30;
  };
  const Rgb accent = kAccents[0];
  const auto cells = [&](Rgb inside, Rgb edge, int count) {
    for (int i = 0; i < count; ++i, x += 16) {
      canvas->Fill({x, top, 16, 16}, inside);
      canvas->Outline({x, top, 17, 16}, edge);
    }
    x += 10;
  };
  cells({176, 194, 219}, accent, 2);
  word("patches of an image");
  cells(kBlank, kBlankEdge, 2);
  word("dropped patches");
  canvas->Trapezoid(top, x + 10, x + 36, top + 8, x, x + 46, accent, 0.22);
  canvas->Fill({x, top + 8, 46, 9}, accent);
  x += 56;
  if (prefix) canvas->Fill({x - 56, top + 8, 12, 9}, kInk, kPrefixShade);
  word(prefix ? "the image's tokens in the sequence, prefix tokens first"
              : "the image's tokens in the sequence");
  canvas->Hatch({x, top, 46, 16}, kPadding);
  canvas->Outline({x, top, 46, 16}, kInk);
  x += 56;
  word("padding");
}

}  // namespace

absl::StatusOr<std::string> DrawSequences(const SequenceCaption& caption,
                                          absl::Span<const v1::Pack> packs) {
  if (packs.empty() || caption.sequence_length == 0) {
    return absl::InvalidArgumentError("no sequence to draw");
  }
  std::vector<Sequence> sequences;
  for (const v1::Pack& pack : packs) {
    NAVIT_ASSIGN_OR_RETURN(Sequence sequence, ReadPack(pack, caption.prefix_tokens));
    sequences.push_back(std::move(sequence));
  }
  const double scale = CommonScale(sequences, packs[0].patch_size());
  int height = kTop;
  for (const Sequence& sequence : sequences) {
    height += TallestImage(sequence, scale) + kBand + kBar + kRowGap;
  }
  Canvas canvas(2 * kMargin + kLabel + kContent, height + kMargin - kRowGap);
  canvas.Text(kMargin, 28, caption.title, kInk, true, 2);
  int x = kMargin;
  for (const std::string& fact : caption.facts) {
    if (x > kMargin) {
      canvas.Fill({x - 14, 72, 1, 15}, kRule);
    }
    canvas.Text(x, 72, fact, kInk);
    x += Canvas::TextWidth(fact) + 28;
  }
  DrawLegend(100, caption.prefix_tokens > 0, &canvas);
  canvas.Fill({kMargin, 130, kLabel + kContent, 1}, kRule);
  ResizeScratch scratch;
  int top = kTop;
  for (size_t i = 0; i < sequences.size(); ++i) {
    DrawSequence(sequences[i], caption, scale, top, &scratch, &canvas);
    top += TallestImage(sequences[i], scale) + kBand + kBar;
    DrawLabel(sequences[i], caption.sequence_length, static_cast<int>(i), top, &canvas);
    top += kRowGap;
  }
  return canvas.EncodePng();
}

}  // namespace navit
