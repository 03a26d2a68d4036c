#include "worker/model/retrieval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace navit {
namespace {

// One-hot rows: image i lies on axis axes[i].
std::vector<float> OneHot(const std::vector<int>& axes, int64_t dim) {
  std::vector<float> rows(axes.size() * dim, 0.0f);
  for (size_t i = 0; i < axes.size(); ++i) rows[i * dim + axes[i]] = 1;
  return rows;
}

TEST(Retrieve, PerfectAndShiftedPairs) {
  const int64_t n = 20;
  std::vector<int> axes(n), shifted(n);
  std::vector<uint64_t> hashes(n);
  for (int i = 0; i < n; ++i) {
    axes[i] = i;
    shifted[i] = (i + 1) % n;
    hashes[i] = 100 + i;
  }
  const std::vector<float> images = OneHot(axes, n);
  const RetrievalResult perfect = Retrieve(images, images, n, hashes);
  EXPECT_EQ(perfect.pairs, n);
  for (const double share : perfect.image_to_text) EXPECT_EQ(share, 1);
  // Every query has one other item ahead and ties with the rest, which all count as ahead.
  const RetrievalResult wrong = Retrieve(images, OneHot(shifted, n), n, hashes);
  for (const double share : wrong.text_to_image) EXPECT_EQ(share, 0);
  EXPECT_NEAR(perfect.chance[0], 1.0 / n, 1e-12);
  EXPECT_NEAR(perfect.chance[1], 5.0 / n, 1e-12);
  EXPECT_NEAR(perfect.chance[2], 10.0 / n, 1e-12);
}

TEST(Retrieve, AnyItemWithTheIdenticalCaptionCounts) {
  // Image 0's own text is orthogonal to it, but text 1 has the same caption and fits.
  const std::vector<float> images = OneHot({0, 0, 1}, 3);
  const std::vector<float> texts = OneHot({2, 0, 1}, 3);
  const RetrievalResult same = Retrieve(images, texts, 3, {7, 7, 8});
  EXPECT_EQ(same.image_to_text[0], 1);
  const RetrievalResult different = Retrieve(images, texts, 3, {6, 7, 8});
  EXPECT_NEAR(different.image_to_text[0], 2.0 / 3, 1e-12);
  // Two of three items match for two queries, one for the third.
  EXPECT_NEAR(same.chance[0], (2 * (2.0 / 3) + 1.0 / 3) / 3, 1e-12);
  EXPECT_NEAR(same.chance[1], 1, 1e-12);
}

TEST(Retrieve, CollapsedOrBrokenEmbeddingsFindNothing) {
  const int64_t n = 30;
  std::vector<uint64_t> hashes(n);
  for (int i = 0; i < n; ++i) hashes[i] = i;
  const std::vector<float> equal(n * 4, 0.5f);
  EXPECT_EQ(Retrieve(equal, equal, 4, hashes).image_to_text[2], 0);
  const std::vector<float> nan(n * 4, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(Retrieve(nan, nan, 4, hashes).image_to_text[2], 0);
}

TEST(Retrieve, NoPairs) {
  const RetrievalResult result = Retrieve({}, {}, 8, {});
  EXPECT_EQ(result.pairs, 0);
  EXPECT_EQ(result.image_to_text[0], 0);
  EXPECT_EQ(result.chance[0], 0);
}

TEST(Retrieve, ReadsAllOfALongRow) {
  // Widths that are no multiple of the SIMD lanes: the last number decides.
  std::vector<float> images(2 * 37, 0.1f), texts(2 * 37, 0.1f);
  images[36] = texts[36] = 1;
  images[73] = texts[73] = -1;
  EXPECT_EQ(Retrieve(images, texts, 37, {1, 2}).image_to_text[0], 1);
}

}  // namespace
}  // namespace navit
