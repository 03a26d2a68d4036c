// The data set of the golden files: every supported kind of image, captions of every kind, and
// samples that must become holes.
#ifndef NAVIT_PACKER_TESTING_GOLDEN_SHARD_H_
#define NAVIT_PACKER_TESTING_GOLDEN_SHARD_H_

#include <string>

namespace navit::testing {

// The bytes of a tar shard of 64 samples. testdata/golden.tar holds them as they were made once, so
// that other versions of the encoders do not matter to the golden hashes.
std::string MakeGoldenShard();

}  // namespace navit::testing

#endif  // NAVIT_PACKER_TESTING_GOLDEN_SHARD_H_
