// Writes small good inputs for each fuzz target: FOLDER/TARGET/NAME. Where the kept corpora began,
// and where one for a new format begins.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "common/job_spec/print.h"
#include "packer/shard_index.h"
#include "packer/testing/encode.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"
#include "proto/pack.pb.h"
#include "tests/fuzz/memory_file.h"
#include "worker/safetensors.h"

namespace navit {
namespace {

std::string folder;

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

std::string Write(const std::string& target, const std::string& name, const std::string& bytes) {
  const std::string path = absl::StrCat(folder, "/", target, "/", name);
  Must(EnsureFolder(absl::StrCat(folder, "/", target)));
  Must(AtomicWriteFile(path, bytes));
  return path;
}

void WriteImages() {
  const Image picture = testing::MakePicture(19, 13, 1);
  int number = 0;
  const auto write = [&](const std::string& target, const std::string& bytes) {
    const std::string name = absl::StrCat("seed-", number++);
    Write(target, name, bytes);
    Write("image_header", name, bytes);
  };
  for (int kind = 0; kind <= static_cast<int>(testing::PngKind::kTransparentPalette); ++kind) {
    write("png", testing::EncodePng(picture, static_cast<testing::PngKind>(kind), kind % 2 == 1));
  }
  testing::JpegOptions options;
  options.quality = 60;
  for (int i = 0; i < 6; ++i) {
    options.grey = i == 1;
    options.cmyk = i == 2;
    options.progressive = i == 3 || i == 4;
    options.orientation = i >= 4 ? i + 2 : 0;
    options.big_endian = i == 5;
    write("jpeg", testing::EncodeJpeg(picture, options));
  }
  for (const float quality : {-1.f, 50.f}) {
    for (const bool alpha : {false, true}) {
      write("webp", testing::EncodeWebp(picture, quality, alpha));
    }
  }
}

void WriteTars() {
  const Image tiny = testing::MakePicture(3, 2, 1);
  testing::TarWriter tar;
  tar.Add("a.png", testing::EncodePng(tiny)).Add("a.txt", "a cat").Add("a.json", "{\"a\":1}");
  tar.AddBase256("b/c.x.png", testing::EncodePng(tiny)).Add("b/c.cls", "3");
  const std::string path = Write("tar", "seed-0", tar.Finish());
  const auto index = BuildShardIndex(fuzz::Store(), path);
  Must(index.status());
  Must(EnsureFolder(folder + "/sidecar"));
  Must(WriteShardIndex(fuzz::Store(), *index, folder + "/sidecar/seed-0"));
}

void WriteFrames() {
  v1::Frame frame;
  frame.set_payload("payload");
  frame.mutable_header()->set_job("job");
  frame.mutable_header()->set_window(3);
  frame.mutable_header()->set_payload_bytes(frame.payload().size());
  frame.mutable_header()->add_holes()->set_reason(v1::HOLE_REASON_NO_CAPTION);
  Write("frame", "seed-0", frame.SerializeAsString());
}

void WriteJson() {
  Write("json", "seed-0",
        R"({"b": [1, -2.5e+3, {"a": null}, true, []], "a": "\u00e9\ud83d\ude00\n"})");
}

void WriteNames() {
  int number = 0;
  for (const char* name :
       {"s3://bucket/{train,extra}/{00000..00999}.tar", "https://host:80/a%20b.tar?sig=x",
        "/data/x-{0..10..2}{a..e}.tar", "{a,b{1..3,\\{\\,}}"}) {
    Write("names", absl::StrCat("seed-", number++), name);
  }
}

void WriteJobFiles() {
  v1::JobSpec spec = testing::MakeSpec();
  Write("job_file", "seed-0", ToYaml(spec));
  Write("job_file", "seed-1", ToJson(spec));
  Write("job_file", "seed-2", "packing.sequence_length=64");
}

void WriteWeights() {
  const std::string path = absl::StrCat(folder, "/safetensors/seed-0");
  Must(EnsureFolder(folder + "/safetensors"));
  const float values[] = {1, 2, 3};
  const TensorView tensors[] = {{"a", {3}, values}, {"b", {1}, absl::MakeSpan(values, 1)}};
  Must(WriteSafetensors(path, tensors, {{"step", "7"}}).status());
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  navit::folder = argv[1];
  navit::WriteImages();
  navit::WriteTars();
  navit::WriteFrames();
  navit::WriteJson();
  navit::WriteNames();
  navit::WriteJobFiles();
  navit::WriteWeights();
  return 0;
}
