// Which data set of a mixture each position of the stream takes, in closed form (DESIGN.md, section
// 3, point 2).
#ifndef NAVIT_COMMON_MIXTURE_H_
#define NAVIT_COMMON_MIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace navit {

// Positions 0, 1, 2, ... each take one of D data sets, as often as its weight says: of the first n
// positions, data set d has n * weight[d] / sum(weights), to within 1 for up to three data sets and
// within 2 for any number, at every n. Weights are rounded to 2^-32 of their sum (never to 0),
// which adds at most n * 2^-32.
//
// Two data sets share n positions by rounding: the first has round(n * weight / sum), the second
// the rest. More of them form a tree (Huffman's, lightest first, so that roundings add up least)
// whose nodes share the positions of their parent in that way; a share never falls and grows by at
// most 1 when n grows by 1, so each position takes exactly one data set.
class Mixture {
 public:
  // `weights`: D >= 1 of them, positive and finite.
  explicit Mixture(const std::vector<double>& weights);

  size_t datasets() const { return paths_.size(); }
  // How many of the positions [0, positions) take `dataset`. Requires positions < 2^63.
  uint64_t Count(size_t dataset, uint64_t positions) const;
  // The first n such that Count(dataset, n) >= `count`.
  uint64_t PositionsFor(size_t dataset, uint64_t count) const;

 private:
  // A node that shares positions: `first` of `both` go to one child, rounded, the rest to the
  // other.
  struct Fork {
    uint64_t first = 0;
    uint64_t both = 0;
    bool takes_first = false;
  };
  // [D] the forks from the root down to the data set.
  std::vector<std::vector<Fork>> paths_;
};

}  // namespace navit

#endif  // NAVIT_COMMON_MIXTURE_H_
