// What one core can compute: the denominator of MFU and of the benchmarks' share of peak.
#ifndef NAVIT_KERNELS_PEAK_FLOPS_H_
#define NAVIT_KERNELS_PEAK_FLOPS_H_

namespace navit::kernels {

// Fused multiply-adds in float32, counted as two operations each, that one thread carries out per
// second on the SIMD target in use: ten independent chains in registers, best of five runs of a few
// milliseconds. Measured at every call; a neighbour on the same core lowers it.
double ProbePeakFlops();

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_PEAK_FLOPS_H_
