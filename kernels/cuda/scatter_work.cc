#include <cstddef>

#include "kernels/cuda/scatter_rows.h"

namespace navit::kernels::cuda {

ScatterWork MakeScatterWork(const std::vector<int32_t>& rows,
                            const std::vector<Selection>& selections, int32_t table_rows) {
  ScatterWork work;
  std::vector<int32_t> next(table_rows, 0);  // first the counts, then the places
  for (int32_t row : rows) ++next[row];
  int32_t first = 0;
  for (int32_t row = 0; row < table_rows; ++row) {
    const int32_t count = next[row];
    if (count > 0) work.rows.push_back({row, first, count});
    next[row] = first;
    first += count;
  }
  work.selections.resize(selections.size());
  for (size_t i = 0; i < rows.size(); ++i) work.selections[next[rows[i]]++] = selections[i];
  return work;
}

}  // namespace navit::kernels::cuda
