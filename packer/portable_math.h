// Elementary functions with the same bits on every machine: IEEE additions, multiplications,
// divisions and square roots alone, in a fixed order and without contraction (the BUILD file
// compiles portable_math.cc and its users with -ffp-contract=off). libm differs by an ulp between
// machines, and a flipped token count moves every later pack. Relative error below 1e-14.
#ifndef NAVIT_PACKER_PORTABLE_MATH_H_
#define NAVIT_PACKER_PORTABLE_MATH_H_

namespace navit::portable {

// e^x for x <= 0; 0 below -700.
double Exp(double x);
// ln x for a normal number x > 0.
double Log(double x);
// x^p for x in [0, 1], p > 0.
double Power(double x, double p);
// 1 / (1 + e^-x).
double Sigmoid(double x);

}  // namespace navit::portable

#endif  // NAVIT_PACKER_PORTABLE_MATH_H_
