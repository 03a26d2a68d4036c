#include "kernels/column_sum.h"
#include "kernels/gemm.h"
#include "kernels/linear.h"

namespace navit::kernels {

void LinearForward(const LinearForwardArgs& args, ThreadPool& pool) {
  GemmArgs gemm;
  gemm.m = args.rows;
  gemm.n = args.out;
  gemm.k = args.in;
  gemm.a = args.x;
  gemm.a_row = args.in;
  gemm.b = args.weight;
  gemm.b_k = 1;
  gemm.b_column = args.in;
  gemm.c = args.y;
  gemm.c_row = args.out;
  gemm.bias = args.bias;
  gemm.accumulate = args.accumulate;
  Gemm(gemm, pool);
}

void LinearBackwardInput(const LinearBackwardInputArgs& args, ThreadPool& pool) {
  GemmArgs gemm;
  gemm.m = args.rows;
  gemm.n = args.in;
  gemm.k = args.out;
  gemm.a = args.dy;
  gemm.a_row = args.out;
  gemm.b = args.weight;
  gemm.b_k = args.in;
  gemm.c = args.dx;
  gemm.c_row = args.in;
  gemm.accumulate = args.accumulate;
  Gemm(gemm, pool);
}

void LinearBackwardWeight(const LinearBackwardWeightArgs& args, ThreadPool& pool) {
  GemmArgs gemm;
  gemm.m = args.out;
  gemm.n = args.in;
  gemm.k = args.rows;
  gemm.a = args.dy;
  gemm.a_row = 1;
  gemm.a_k = args.out;
  gemm.b = args.x;
  gemm.b_k = args.in;
  gemm.c = args.dweight;
  gemm.c_row = args.in;
  gemm.accumulate = true;
  Gemm(gemm, pool);
  if (args.dbias == nullptr) return;
  ColumnSumArgs sum;
  sum.rows = args.rows;
  sum.dim = args.out;
  sum.a = args.dy;
  sum.a_row = args.out;
  sum.sum = args.dbias;
  ColumnSum(sum, pool);
}

}  // namespace navit::kernels
