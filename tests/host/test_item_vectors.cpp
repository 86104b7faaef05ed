// Vectors of items that were made elsewhere: what the import takes, counts and refuses.

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "engine/io/safetensors.hpp"
#include "host/app/dataset.hpp"
#include "host/data/import.hpp"
#include "host/data/vector_file.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/half.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::data {
namespace {

namespace fs = std::filesystem;

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// A .npy of version 1, as numpy.save writes it, or of version 2.
std::string npy(const std::string& type, const std::string& shape, const std::string& elements,
                const std::string& order = "False", char version = 1) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  const size_t before = version == 1 ? 10 : 12;
  header += std::string(63 - (before + header.size()) % 64, ' ') + "\n";
  std::string out = std::string("\x93NUMPY") + version + '\0';
  for (size_t b = 0; b < before - 8; ++b) out += static_cast<char>(header.size() >> 8 * b & 0xff);
  return out + header + elements;
}

const std::vector<float> kThree{3, 4, 0, 1, -2, 0};  // [3, 2]
constexpr const char* kRows = "u,b,i\nu1,b1,x\nu1,b1,y\nu2,b2,z\nu2,b2,x\n";
constexpr const char* kConfig =
    "[columns]\nuser=\"u\"\nbasket=\"b\"\nitem=\"i\"\n"
    "[split]\nkind=\"random\"\nvalidation_fraction=0\ntest_fraction=0\n[vectors]\n";

class ItemVectorsTest : public ::testing::Test {
 protected:
  void file(const std::string& name, const std::string& content) const {
    test::write_bytes(folder_.path() / name, content);
  }
  std::pair<Prepared, ImportReport> imported(const std::string& keys, const std::string& sections = "") const {
    file("rows.csv", kRows);
    file("import.toml", kConfig + keys + "\n" + sections);
    return import_file(folder_.path() / "rows.csv", load_import_config(folder_.path() / "import.toml"), 1);
  }
  std::string error(const std::string& keys, const std::string& sections = "") const {
    try {
      (void)imported(keys, sections);
    } catch (const Error& e) {
      return std::string(e.what()) + " | " + e.hint();
    }
    return "no error";
  }
  test::TempFolder folder_;
};

TEST_F(ItemVectorsTest, OfUnitLengthByTheirIdsAndZerosWhereMissing) {
  file("v.npy", npy("<f4", "(3, 2)", bytes_of(kThree)));
  file("ids.txt", "x\r\nnew\r\nz\r\n\r\n");
  const auto [prepared, report] = imported("file=\"v.npy\"\nids=\"ids.txt\"");
  EXPECT_EQ(prepared.vector_dim, 2);
  EXPECT_EQ(prepared.item_vectors, (std::vector<float>{0.6f, 0.8f, 0, 0, -1, 0}));
  ASSERT_TRUE(report.vectors);
  EXPECT_EQ(report.vectors->items, 2);
  EXPECT_EQ(report.vectors->missing, 1);
  EXPECT_EQ(report.vectors->unknown, 1);
  EXPECT_EQ(prepared.import_summary["vectors"]["items_without"], 1);
  save_prepared(prepared, folder_.path() / "p");
  const Prepared loaded = load_prepared(folder_.path() / "p");
  EXPECT_EQ(loaded.item_vectors, prepared.item_vectors);
  const Catalog catalog = app::make_catalog(loaded);
  EXPECT_EQ(catalog.vectors.n, 2);
  EXPECT_EQ(catalog.vectors.values, prepared.item_vectors);
  EXPECT_EQ(imported("file=\"v.npy\"\nids=\"ids.txt\"\nnormalise=false").first.item_vectors,
            (std::vector<float>{3, 4, 0, 0, -2, 0}));
}

TEST_F(ItemVectorsTest, WithoutIdsInTheOrderOfTheSideTable) {
  std::vector<float> values = kThree;
  io::SafetensorsWriter tensors;
  tensors.add("text", {3, 2}, values);
  tensors.add("other", {1, 2}, std::span<const float>(values).first(2));
  tensors.write(folder_.path() / "v.safetensors");
  file("items.csv", "id,name\nz,Z\ny,Y\nx,X\n");
  const std::string items = "[items]\nfile=\"items.csv\"\nkey=\"id\"\n";
  const auto [prepared, report] = imported("file=\"v.safetensors\"\ntensor=\"text\"\nnormalise=false", items);
  EXPECT_EQ(prepared.item_vectors, (std::vector<float>{-2, 0, 0, 1, 3, 4}));
  EXPECT_EQ(error("file=\"v.safetensors\"", items),
            (folder_.path() / "v.safetensors").string() + ": 2 tensors: other, text | name one: vectors.tensor");
}

TEST_F(ItemVectorsTest, EveryTypeAndOrderGivesTheSame) {
  const auto read = [&](const std::string& content) {
    file("v.npy", content);
    const VectorFile vectors = read_vectors(folder_.path() / "v.npy", "");
    EXPECT_EQ(vectors.rows, 3);
    EXPECT_EQ(vectors.dim, 2);
    return vectors.values;
  };
  EXPECT_EQ(read(npy("<f4", "(3, 2)", bytes_of(kThree))), kThree);
  EXPECT_EQ(read(npy("<f4", "(3, 2)", bytes_of(kThree), "False", 2)), kThree);
  EXPECT_EQ(read(npy("<f8", "(3, 2)", bytes_of(std::vector<double>(kThree.begin(), kThree.end())))), kThree);
  std::vector<Half> halves;
  for (const float x : kThree) halves.push_back(detail::narrow_half(x, 0, true));
  EXPECT_EQ(read(npy("<f2", "(3, 2)", bytes_of(halves))), kThree);
  EXPECT_EQ(read(npy("<f4", "(3, 2)", bytes_of(std::vector<float>{3, 0, -2, 4, 1, 0}), "True")), kThree);
  io::SafetensorsWriter tensors;
  tensors.add("v", {3, 2}, halves);
  tensors.write(folder_.path() / "v.safetensors");
  EXPECT_EQ(read_vectors(folder_.path() / "v.safetensors", "").values, kThree);
}

TEST_F(ItemVectorsTest, BadFilesAreNamed) {
  const std::string good = npy("<f4", "(3, 2)", bytes_of(kThree));
  std::vector<float> spoilt = kThree;
  spoilt[3] = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    std::string content, ids, expected;
  };
  const Case cases[] = {
      {"1,2\n3,4\n", "x\n", "v.npy: no .npy file"},
      {good.substr(0, 40), "x\n", "the file ends within its header"},
      {good.substr(0, good.size() - 1), "x\ny\nz\n", "23 bytes of elements, expected 3 x 2 of 4 bytes"},
      {good + "abcd", "x\ny\nz\n", "28 bytes of elements"},
      {npy("<f4", "(6,)", bytes_of(kThree)), "x\n", "a shape of (6,), expected (items, dimensions)"},
      {npy("<f4", "(0, 2)", ""), "", "a shape of (0, 2), expected"},
      {npy("<f4", "(4611686018427387904, 4)", ""), "", "expected (items, dimensions)"},
      {npy(">f4", "(3, 2)", bytes_of(kThree)), "x\n", "elements of type '>f4', expected '<f2', '<f4' or '<f8'"},
      {npy("<f4", "(3, 2)", bytes_of(spoilt)), "x\ny\nz\n", "row 1, column 1 (from 0) is not a finite number"},
      {npy("<f8", "(1, 1)", bytes_of(std::vector<double>{1e300})), "x\n", "row 0, column 0 (from 0) is not a finite"},
      {good, "x\ny\n", "v.npy: 3 vectors, but"},
      {good, "x\ny\nx\n", "ids.txt: 'x' is there twice, in lines 1 and 3"},
      {good, "a\nb\nc\n", "ids.txt: none of the 3 ids is an item of the data, such as 'x'; the first is 'a'"},
  };
  for (const Case& bad : cases) {
    file("v.npy", bad.content);
    file("ids.txt", bad.ids);
    const std::string found = error("file=\"v.npy\"\nids=\"ids.txt\"");
    EXPECT_NE(found.find(bad.expected), std::string::npos) << found << "\nexpected: " << bad.expected;
  }
  EXPECT_NE(error("file=\"v.csv\"\nids=\"ids.txt\"").find("vectors come as .npy or .safetensors"), std::string::npos);
  EXPECT_NE(error("file=\"none.npy\"\nids=\"ids.txt\"").find("none.npy"), std::string::npos);
  EXPECT_NE(error("ids=\"ids.txt\"").find("vectors.file is not given"), std::string::npos);
  EXPECT_NE(error("file=\"v.npy\"").find("neither vectors.ids nor items.file"), std::string::npos);
  EXPECT_NE(error("fil=\"v.npy\"").find("did you mean 'file'?"), std::string::npos);
  std::vector<int32_t> integers{1, 2};
  io::SafetensorsWriter tensors;
  tensors.add("v", {1, 2}, integers);
  tensors.write(folder_.path() / "v.safetensors");
  EXPECT_NE(error("file=\"v.safetensors\"\nids=\"ids.txt\"").find("holds whole numbers"), std::string::npos);
}

}  // namespace
}  // namespace sheaf::data
