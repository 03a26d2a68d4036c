// What the cores can compute: the denominator of MFU and of the benchmarks' share of peak.
#ifndef NAVIT_KERNELS_PEAK_FLOPS_H_
#define NAVIT_KERNELS_PEAK_FLOPS_H_

#include "kernels/thread_pool.h"

namespace navit::kernels {

// Fused multiply-adds in float32, counted as two operations each, that all threads of `pool`
// together carry out per second on the SIMD target in use: ten independent chains in the registers
// of each, all threads at once, as cores that compute together may be slower than one alone. Best
// of five runs of a few milliseconds. Measured at every call; a neighbour on the same cores lowers
// it.
double ProbePeakFlops(ThreadPool& pool);

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_PEAK_FLOPS_H_
