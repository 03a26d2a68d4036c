// A file of choices: text, its first lines what they hold for, then a line for each product, as
//
//   navit-linear-choices 1
//   device=NVIDIA H200
//   capability=9.0
//   cublaslt=130100
//   pass=forward epilogue=gelu_bias accumulate=0 rows=16384 in=768 out=3072 id=66 tile=20 stages=36
//     split_k=1 reduction=0 swizzle=0 custom_option=0 inner_shape=0 cluster_shape=3 first_us=150.2
//     chosen_us=121.7
//
// (the last three are one line). pass: forward, backward_input or backward_weight; epilogue: none,
// bias, gelu_bias or gelu_gradient; the rest as LinearChoice has it, times in microseconds. Empty
// lines, and lines that start with #, say nothing.
#ifndef NAVIT_KERNELS_CUDA_LINEAR_CHOICES_FILE_H_
#define NAVIT_KERNELS_CUDA_LINEAR_CHOICES_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/cuda/linear_choices.h"

namespace navit::kernels::cuda {

// As in "forward gelu_bias rows=16384 in=768 out=3072", for readers.
std::string LinearShapeText(const LinearShape& shape);

std::string FormatLinearChoices(const LinearChoices& choices);

// `file` is a name for errors. InvalidArgument names it and the line: fields that are missing, out
// of order or no numbers, a product that linear.h does not have or that stands there twice, an
// algorithm that is not reproducible.
absl::StatusOr<LinearChoices> ParseLinearChoices(absl::string_view text, absl::string_view file);

// The errors of ReadFile and ParseLinearChoices.
absl::StatusOr<LinearChoices> ReadLinearChoices(const std::string& path);

// Why choices made for `device` say nothing about `here`; empty: they are for this device.
std::string WhyNotHere(const LinearDevice& device, const LinearDevice& here);

}  // namespace navit::kernels::cuda

#endif  // NAVIT_KERNELS_CUDA_LINEAR_CHOICES_FILE_H_
