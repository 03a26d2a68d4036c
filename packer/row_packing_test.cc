#include "packer/row_packing.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "packer/grid.h"
#include "packer/quantile_table.h"

namespace navit {
namespace {

using Packing =
    std::function<Rows(absl::Span<const uint32_t>, uint32_t capacity, uint32_t max_items)>;

// Every item once, no row over its limits; returns the fill.
double Check(const Rows& rows, const std::vector<uint32_t>& tokens, uint32_t capacity,
             uint32_t max_items) {
  std::vector<int> seen(tokens.size(), 0);
  uint64_t total = 0;
  for (const auto& row : rows) {
    EXPECT_FALSE(row.empty());
    EXPECT_LE(row.size(), max_items);
    uint64_t sum = 0;
    for (const uint32_t item : row) {
      ++seen[item];
      sum += tokens[item];
    }
    EXPECT_LE(sum, capacity);
    total += sum;
  }
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
  return rows.empty() ? 1.0 : static_cast<double>(total) / (rows.size() * uint64_t{capacity});
}

// Sides over [low, high] with the job default's drop, patch 16.
std::vector<uint32_t> Images(uint32_t count, uint32_t low, uint32_t high, uint32_t budget,
                             bool normal, uint32_t seed) {
  std::mt19937 random(seed);
  const QuantileTable side = normal ? QuantileTable::TruncatedNormal(-0.5) : QuantileTable();
  const QuantileTable drop = QuantileTable::Beta(0.5 / 0.9);
  std::vector<uint32_t> tokens;
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t r = (uint64_t{low} << 16) + (uint64_t{side(random())} * (high - low) >> 16);
    const uint32_t width = 600 + random() % 1000, height = 600 + random() % 1000;
    const Grid grid =
        ChooseGrid(width, height, AreaInPatches(width, height, r * r, 1 << 16, 16), budget, 128);
    const uint32_t n = grid.rows * grid.columns;
    const double d = 0.9 * drop(random()) / 4294967296.0;
    tokens.push_back(std::max<uint32_t>(1, n - static_cast<uint32_t>(n * d + 0.5)));
  }
  return tokens;
}

// Without exact fit, which leaves the tokens as they are.
Rows PackWindow(std::vector<uint32_t> tokens, uint32_t capacity, uint32_t max_items) {
  return navit::PackWindow(absl::MakeSpan(tokens), capacity, max_items, 0);
}

TEST(RowPacking, HoldsItsLimitsOnRandomInputs) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    const uint32_t capacity = 1 + random() % 700;
    const uint32_t max_items = 1 + random() % 40;
    std::vector<uint32_t> tokens(random() % 400);
    const uint32_t largest = 1 + random() % capacity;
    for (uint32_t& t : tokens) t = 1 + random() % largest;
    for (const Packing& pack :
         {Packing(PackSubsetSum), Packing(PackBalanced), Packing(PackNextFit)}) {
      Check(pack(tokens, capacity, max_items), tokens, capacity, max_items);
    }
    Check(PackWindow(tokens, capacity, max_items), tokens, capacity, max_items);
    std::vector<uint32_t> fitted = tokens;
    const Rows rows = PackBestFit(absl::MakeSpan(fitted), capacity, max_items, random() % 20000);
    Check(rows, fitted, capacity, max_items);
    // Prefix tokens are not dropped, however many they are.
    const uint32_t fixed = random() % 5;
    std::vector<uint32_t> longer = tokens;
    for (uint32_t& t : longer) t += fixed;
    const Rows longer_rows =
        PackBestFit(absl::MakeSpan(longer), capacity + fixed, max_items, 65536 / 2, fixed);
    Check(longer_rows, longer, capacity + fixed, max_items);
    for (size_t i = 0; i < tokens.size(); ++i) EXPECT_GE(2 * (longer[i] - fixed), tokens[i]);
    Check(PackFirstFit(tokens, capacity, max_items, 16), tokens, capacity, max_items);
    EXPECT_EQ(PackWindow(tokens, capacity, max_items), PackWindow(tokens, capacity, max_items));
  }
}

TEST(RowPacking, NoItemsNoRows) {
  EXPECT_TRUE(PackWindow({}, 576, 72).empty());
  EXPECT_TRUE(PackSubsetSum({}, 576, 72).empty());
  EXPECT_TRUE(PackBalanced({}, 576, 72).empty());
}

TEST(RowPacking, LargeCapacity) {
  std::vector<uint32_t> tokens;
  for (uint32_t i = 0; i < 4000; ++i) tokens.push_back(1 + i * 7919 % 30000);
  EXPECT_GT(Check(PackWindow(tokens, 65536, 8192), tokens, 65536, 8192), 0.99);
}

TEST(SubsetSum, TakesTheOldestItemsFirst) {
  const Rows rows = PackSubsetSum(std::vector<uint32_t>{5, 3, 4, 2, 6, 1}, 10, 8);
  EXPECT_EQ(rows, (Rows{{0, 1, 3}, {2, 4}, {5}}));
}

// The job default: a fill of 99.9 % over a window, where first-fit leaves several percent.
TEST(PackWindow, FillsTheDefaultSettings) {
  const auto tokens = Images(8192, 64, 384, 576, true, 1);
  EXPECT_GT(Check(PackWindow(tokens, 576, 72), tokens, 576, 72), 0.999);
}

TEST(PackWindow, FillsUniform256) {
  const auto tokens = Images(8192, 64, 256, 256, false, 2);
  EXPECT_GT(Check(PackWindow(tokens, 256, 32), tokens, 256, 32), 0.999);
}

// One or two items a row: no row holds two items of more than half of it.
TEST(PackWindow, FillsRowsOfFewItems) {
  std::mt19937 random(3);
  std::vector<uint32_t> tokens(8192);
  for (uint32_t& t : tokens) t = 100 + random() % 477;
  const size_t large =
      std::count_if(tokens.begin(), tokens.end(), [](uint32_t t) { return t > 288; });
  Check(PackWindow(tokens, 576, 72), tokens, 576, 72);
  EXPECT_LT(PackWindow(tokens, 576, 72).size(), large * 1.025);
}

TEST(PackWindow, FillsRowsOfOneToThreeItems) {
  const auto tokens = Images(8192, 224, 384, 576, false, 6);
  EXPECT_GT(Check(PackWindow(tokens, 576, 72), tokens, 576, 72), 0.988);
}

// max_items binds: sides 48 to 160 at 576 tokens give some 25 images a row. All rows are full but
// the last one, and few others.
TEST(PackWindow, FillsWhereSlotsBind) {
  const auto tokens = Images(8192, 48, 160, 576, true, 4);
  uint64_t total = 0;
  for (const uint32_t t : tokens) total += t;
  const double items_per_row = 576.0 * tokens.size() / total;
  const size_t fewest = (total + 575) / 576;
  for (const double slack : {1.05, 1.2, 1.5}) {
    const uint32_t max_items = static_cast<uint32_t>(items_per_row * slack) + 1;
    const Rows rows = PackWindow(tokens, 576, max_items);
    Check(rows, tokens, 576, max_items);
    EXPECT_LE(rows.size(), fewest + 1) << items_per_row << " " << max_items;
  }
  // With hardly a slot to spare, rows that lack small images cannot be made up for.
  const uint32_t max_items = static_cast<uint32_t>(items_per_row) + 1;
  EXPECT_GT(Check(PackWindow(tokens, 576, max_items), tokens, 576, max_items), 0.99);
}

// Three images a row, none dropped.
TEST(PackWindow, FillsRowsOfThree) {
  std::mt19937 random(8);
  std::vector<uint32_t> tokens(8192);
  for (uint32_t& t : tokens) t = 30 + random() % 320;
  const double fill = Check(PackWindow(tokens, 576, 72), tokens, 576, 72);
  EXPECT_GT(fill, 0.9985);
}

TEST(PackBestFit, FillsRowsOfFewItemsAndCutsNoMoreThanTheTolerance) {
  std::mt19937 random(9);
  std::vector<uint32_t> tokens(8192);
  for (uint32_t& t : tokens) t = 16 + random() % 241;
  std::vector<uint32_t> fitted = tokens;
  const Rows rows = navit::PackWindow(absl::MakeSpan(fitted), 256, 32, 65536 / 20);
  EXPECT_GT(Check(rows, fitted, 256, 32), 0.995);
  EXPECT_LT(rows.size(), PackWindow(tokens, 256, 32).size());
  size_t cut = 0;
  for (const auto& row : rows) {
    size_t cut_here = 0;
    for (const uint32_t item : row) {
      ASSERT_LE(fitted[item], tokens[item]);
      ASSERT_GE(fitted[item], tokens[item] - tokens[item] / 20);
      cut_here += fitted[item] < tokens[item] ? 1 : 0;
    }
    ASSERT_LE(cut_here, 1);
    cut += cut_here;
  }
  EXPECT_GT(cut, 100);
}

// Fewer slots than needed: every row but the last has all its slots taken.
TEST(PackWindow, TooFewSlotsNeedNoMoreRowsThanItemsOverSlots) {
  const auto tokens = Images(1000, 48, 160, 576, true, 4);
  EXPECT_EQ(PackWindow(tokens, 576, 10).size(), 100u);
}

}  // namespace
}  // namespace navit
