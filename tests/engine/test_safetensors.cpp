#include "engine/io/safetensors.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "kernels/core/error.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::io {
namespace {

namespace fs = std::filesystem;
using test::read_bytes;
using test::TempFolder;
using test::write_bytes;

const std::vector<float> kFloats{1.5f, -2.25f, 3.0f, 0.0f, 5.0f, 6.0f};
const std::vector<double> kDoubles{1e300, -1e-300};
const std::vector<int32_t> kInts{-7, 8, 9};
const std::vector<int64_t> kLongs{int64_t{1} << 40};
const std::vector<float> kNothing, kScalar{42.0f};
const std::vector<uint8_t> kBytes{1, 2, 255};

void write_sample(const fs::path& path) {
  SafetensorsWriter writer;
  writer.add("bytes", {3}, kBytes);  // an odd size first: the writer must keep what follows aligned
  writer.add("floats", {2, 3}, kFloats);
  writer.add("ints", {3}, kInts);
  writer.add("longs", {1}, kLongs);
  writer.add("doubles", {2}, kDoubles);
  writer.add("nothing", {0, 4}, kNothing);
  writer.add("scalar", {}, kScalar);
  writer.write(path);
}

std::string frame(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}

/// The message of the DataError that opening such a file raises.
std::string open_message(const fs::path& path, const std::string& bytes) {
  write_bytes(path, bytes);
  try {
    const SafetensorsFile file(path);
  } catch (const DataError& error) {
    return error.what();
  }
  return "opened without an error";
}

template <class T>
std::vector<T> values(const SafetensorsFile& file, const char* name) {
  const auto span = file.tensor<T>(name);
  return {span.begin(), span.end()};
}

TEST(Safetensors, GivesBackWhatWasWritten) {
  const TempFolder folder;
  write_sample(folder.path() / "a.safetensors");
  const SafetensorsFile file(folder.path() / "a.safetensors");
  EXPECT_EQ(values<float>(file, "floats"), kFloats);
  EXPECT_EQ(values<double>(file, "doubles"), kDoubles);
  EXPECT_EQ(values<int32_t>(file, "ints"), kInts);
  EXPECT_EQ(values<int64_t>(file, "longs"), kLongs);
  EXPECT_EQ(values<uint8_t>(file, "bytes"), kBytes);
  EXPECT_EQ(values<float>(file, "scalar"), std::vector<float>{42.0f});
  EXPECT_TRUE(file.tensor<float>("nothing").empty());
  EXPECT_EQ(file.shape("floats"), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.shape("nothing"), (std::vector<int64_t>{0, 4}));
  EXPECT_TRUE(file.has("ints"));
  EXPECT_FALSE(file.has("int"));
  EXPECT_EQ(file.names().size(), 7u);
}

TEST(Safetensors, SurvivesAMove) {
  const TempFolder folder;
  write_sample(folder.path() / "a.safetensors");
  SafetensorsFile first(folder.path() / "a.safetensors");
  const SafetensorsFile second(std::move(first));
  EXPECT_EQ(values<float>(second, "floats"), kFloats);
}

TEST(Safetensors, BytesAreThoseOfTheFormat) {
  const TempFolder folder;
  const std::vector<int32_t> values{1, 2};
  SafetensorsWriter writer;
  writer.add("a", {2}, values);
  writer.write(folder.path() / "a");
  const std::string header = R"({"a":{"data_offsets":[0,8],"dtype":"I32","shape":[2]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_bytes(folder.path() / "a"), frame(padded, std::string("\1\0\0\0\2\0\0\0", 8)));
}

TEST(Safetensors, BytesDoNotDependOnTheOrderOfAdding) {
  const TempFolder folder;
  SafetensorsWriter forward, backward;
  forward.add("x", {3}, kBytes);
  forward.add("y", {3}, kInts);
  backward.add("y", {3}, kInts);
  backward.add("x", {3}, kBytes);
  forward.write(folder.path() / "f");
  backward.write(folder.path() / "b");
  EXPECT_EQ(read_bytes(folder.path() / "f"), read_bytes(folder.path() / "b"));
}

TEST(Safetensors, EveryTruncationIsADataErrorWithThePath) {
  const TempFolder folder;
  const fs::path whole = folder.path() / "whole", cut = folder.path() / "cut";
  write_sample(whole);
  const std::string bytes = read_bytes(whole);
  for (size_t length = 0; length < bytes.size(); ++length) {
    const std::string message = open_message(cut, bytes.substr(0, length));
    ASSERT_NE(message.find(cut.string()), std::string::npos) << length << " bytes: " << message;
  }
  EXPECT_NE(open_message(cut, bytes + "x").find("expected"), std::string::npos);
  EXPECT_EQ(open_message(cut, bytes), "opened without an error");
}

TEST(Safetensors, TruncationNamesTheTensorAndTheBytes) {
  const TempFolder folder;
  const std::string message = open_message(
      folder.path() / "t", frame(R"({"weights":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}  )", "12345678901"));
  EXPECT_NE(message.find("tensor 'weights': expected 16 bytes, found 11"), std::string::npos) << message;
}

TEST(Safetensors, FlippedBytesNeverCrash) {
  const TempFolder folder;
  const fs::path path = folder.path() / "fuzz";
  write_sample(path);
  const std::string good = read_bytes(path);
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] = static_cast<char>(random());
    write_bytes(path, bytes);
    try {
      const SafetensorsFile file(path);
      for (const auto& name : file.names()) (void)file.shape(name);
    } catch (const DataError&) {
    }
  }
}

struct BadHeader {
  const char* header;
  const char* data;
  const char* expected;
};

TEST(Safetensors, MalformedHeadersSayWhatIsWrong) {
  const BadHeader cases[] = {
      {"[1, 2]", "", "not a JSON object"},
      {" {}", "", "not a JSON object from its first byte on"},
      {"{}\n", "", "nothing but spaces after it"},
      {"{} \t ", "", "nothing but spaces after it"},
      {"{}{}", "", "not a JSON object"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       "1", "the header has the key 'a' twice"},
      {R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "1", "has the key 'dtype' twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "", "has the key '__metadata__' twice"},
      {R"({"__metadata__":{"x":"1","x":"2"}})", "", "has the key 'x' twice"},
      {R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       "1", "has the key '' twice"},
      {R"({"__metadata__":{"x":1}})", "", "__metadata__ is not an object of texts"},
      {R"({"__metadata__":["x"]})", "", "__metadata__ is not an object of texts"},
      {R"({"__metadata__":null})", "", "__metadata__ is not an object of texts"},
      {"{\"a\":", "", "not a JSON object"},
      {R"({"a":5})", "", "tensor 'a': the header entry is not"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", "", "tensor 'a': the header entry is not"},
      {R"({"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})", "1234", "tensor 'a': dtype BF16"},
      {R"({"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", "1234", "tensor 'a': the header entry is not"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,4]}})", "1234",
       "tensor 'a': data_offsets [0, 4], expected 3"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", "1234",
       "tensor 'a': data_offsets [4, 0], expected 4"},
      {R"({"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", "1234", "is impossible"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", "1234", "tensor 'a': begins at byte 1, expected 0"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}})",
       "1234", "tensor 'b': begins at byte 1, expected 2"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "123456", "expected 4 bytes of tensors, found 6"},
  };
  const TempFolder folder;
  for (const auto& bad : cases) {
    const std::string message = open_message(folder.path() / "bad", frame(bad.header, bad.data));
    EXPECT_NE(message.find(bad.expected), std::string::npos) << bad.header << "\n" << message;
  }
  const std::string nul = std::string("{}") + '\0' + " }";  // for a JSON parser the text ends at the zero
  EXPECT_NE(open_message(folder.path() / "bad", frame(nul, "")).find("nothing but spaces after it"), std::string::npos);
  EXPECT_NE(open_message(folder.path() / "bad", std::string(8, '\xff')).find("header: expected"), std::string::npos);
}

TEST(Safetensors, MetadataAndSpacesAreRead) {
  const TempFolder folder;
  EXPECT_EQ(open_message(folder.path() / "a", frame(R"({"__metadata__":{"format":"pt","x":"1"},)"
                                                    R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                                                    R"("b":{"shape":[1],"data_offsets":[2,3],"dtype":"U8"}}   )",
                                                    "123")),
            "opened without an error");
  EXPECT_EQ(open_message(folder.path() / "b", frame("{}", "")), "opened without an error");
}

TEST(Safetensors, AMisalignedTensorIsRefused) {
  const TempFolder folder;
  std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  while (header.size() % 4 != 1) header.push_back(' ');
  EXPECT_NE(open_message(folder.path() / "m", frame(header, "1234")).find("expected a multiple of 4"),
            std::string::npos);
}

TEST(Safetensors, AskingForTheWrongThing) {
  const TempFolder folder;
  write_sample(folder.path() / "a");
  const SafetensorsFile file(folder.path() / "a");
  try {
    (void)file.tensor<float>("flaots");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("no tensor 'flaots'; it has: bytes, doubles, floats"), std::string::npos);
  }
  try {
    (void)file.tensor<int32_t>("floats");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("tensor 'floats': holds F32, expected I32"), std::string::npos);
  }
}

TEST(Safetensors, WriterRefusesWrongShapesAndNames) {
  SafetensorsWriter writer;
  writer.add("a", {3}, kInts);
  EXPECT_THROW(writer.add("a", {3}, kInts), UsageError);
  EXPECT_THROW(writer.add("", {3}, kInts), UsageError);
  EXPECT_THROW(writer.add("__metadata__", {3}, kInts), UsageError);
  EXPECT_THROW(writer.add("b", {2, 2}, kInts), UsageError);
  EXPECT_THROW(writer.add("b", {-3}, kInts), UsageError);
}

TEST(Safetensors, MissingFilesAndFoldersSayWhy) {
  const TempFolder folder;
  const auto message = [](auto&& action) -> std::string {
    try {
      action();
    } catch (const DataError& error) {
      return error.what();
    }
    return "no error";
  };
  const fs::path missing = folder.path() / "missing", below = missing / "a";
  EXPECT_EQ(message([&] { const SafetensorsFile file(missing); }),
            "cannot read " + missing.string() + ": No such file or directory");
  EXPECT_EQ(message([&] { write_sample(below); }), "cannot write " + below.string() + ": No such file or directory");
  EXPECT_NE(message([&] { const SafetensorsFile file(folder.path()); }).find("not a regular file"), std::string::npos);
}

TEST(Safetensors, AFullDiskSaysSo) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
  try {
    write_sample("/dev/full");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "cannot write /dev/full: No space left on device");
    EXPECT_NE(error.hint().find("free space"), std::string::npos);
  }
}

}  // namespace
}  // namespace sheaf::io
