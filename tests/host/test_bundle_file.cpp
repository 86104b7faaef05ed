#include "host/data/bundle_file.hpp"

#include <gtest/gtest.h>

#include <string>

#include "host/data/item_words.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/process.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::data {
namespace {

StringTable table_of(const std::vector<std::string>& strings) {
  StringTable table;
  for (const auto& text : strings) table.push_back(text);
  return table;
}

Prepared shop() {
  Prepared p;
  p.name = "shop";
  p.n_users = 2;
  p.n_items = 4;
  p.user_ids = table_of({"ann", "bob"});
  p.item_ids = table_of({"apple", "bun", "cola", "dip"});
  p.item_names = table_of({"Red Apples, 2 apples", "HOT-DOG BUNS", "cola", "Glass dip"});
  p.category_names = table_of({kNoValue, "Food > Bread; Party", "Food > Fruit"});
  p.item_category = {2, 1, 0, 0};
  p.categorical = {{"colour", {1, 0, 0, 0}, table_of({kNoValue, "Red"})}};
  return p;
}

class BundleFile : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const {
    test::write_bytes(folder_.path() / "b.csv", text);
    return folder_.path() / "b.csv";
  }
  GivenBundles given(const std::string& text) const { return read_given_bundles(write(text), shop_, context_); }
  GivenBundles partial(const std::string& text, UnknownPolicy policy = UnknownPolicy::refuse) const {
    IdLookup ids(write(text), shop_, policy);
    return read_partial_bundles(write(text), context_, ids);
  }
  template <class F>
  std::string message(F&& f) const {
    try {
      f();
    } catch (const DataError& error) {
      return error.what();
    }
    return "no error";
  }

  test::TempFolder folder_;
  Prepared shop_ = shop();
  Context context_;
};

TEST_F(BundleFile, ReadsGivenBundles) {
  const GivenBundles bundles = given("item,bundle\ncola,x\nbun,x\napple,y\nrope,y\ncola,x\ndip,y\nrope,z\nnail,z\n");
  EXPECT_EQ(bundles.names, (std::vector<std::string>{"x", "y", "z"}));
  EXPECT_EQ(bundles.items, (std::vector<std::vector<int32_t>>{{1, 2}, {0, 3}, {}}));
  EXPECT_EQ(bundles.n_items, 6);
  EXPECT_EQ(bundles.n_unknown, 2);
  EXPECT_NE(bundles.first_unknown.find("'rope'"), std::string::npos);
  EXPECT_NE(bundles.first_unknown.find("line 5"), std::string::npos);
  const HostCsr matrix = bundles.matrix(4, 2);
  EXPECT_EQ(matrix.row_offsets, (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(matrix.columns, (std::vector<int32_t>{1, 2, 0, 3}));
  EXPECT_EQ(matrix.n_columns, 4);
}

TEST_F(BundleFile, SaysWhatIsWrongAndWhere) {
  const auto of = [&](const std::string& text) { return message([&] { given(text); }); };
  const std::string file = (folder_.path() / "b.csv").string();
  EXPECT_EQ(of("bundel,item\nx,cola\n"), file + " line 1: no column 'bundle'; it has: bundel, item");
  EXPECT_EQ(of("bundle\nx\n"), file + " line 1: no column 'item'; it has: bundle");
  EXPECT_EQ(of("bundle,item\n"), file + ": no bundle below the header");
  EXPECT_NE(of("").find(file), std::string::npos);
  EXPECT_EQ(of("bundle,item\nx,cola\nx,bun\ny,dip\n"), file + " line 4: bundle 'y' has one item");
  EXPECT_EQ(of("bundle,item\nx,cola\nx,cola\n"), file + " line 2: bundle 'x' has one item");
  EXPECT_EQ(of("bundle,item\nx,cola\nx,\n"), file + " line 3: no item");
  EXPECT_EQ(of("bundle,item\n ,cola\n"), file + " line 2: no bundle");
  EXPECT_NE(of("bundle,item\nx,cola,1\n").find("line 2"), std::string::npos);
  EXPECT_EQ(
      of("bundle,item\nx,cola\nx,rope\n"),
      file + ": no bundle has two items that are known in shop; unknown is for example 'rope' (" + file + " line 3)");
}

TEST_F(BundleFile, ReadsBasketsToComplete) {
  const GivenBundles baskets = partial("bundle,item,user\n7,cola,bob\n8,dip,ann\n7,apple,bob\n");
  EXPECT_EQ(baskets.names, (std::vector<std::string>{"7", "8"}));
  EXPECT_EQ(baskets.items, (std::vector<std::vector<int32_t>>{{0, 2}, {3}}));
  EXPECT_EQ(baskets.users, (std::vector<int32_t>{1, 0}));
  EXPECT_TRUE(partial("bundle,item\n7,cola\n").users.empty());
  // Skipped: the unknown item, and the bundle of a user that nobody knows.
  const GivenBundles known = partial("bundle,item,user\n7,cola,bob\n7,rope,bob\n8,dip,eve\n", UnknownPolicy::skip);
  EXPECT_EQ(known.names, (std::vector<std::string>{"7"}));
  EXPECT_EQ(known.items, (std::vector<std::vector<int32_t>>{{2}}));
  const std::string file = (folder_.path() / "b.csv").string();
  const auto of = [&](const std::string& text) { return message([&] { partial(text); }); };
  EXPECT_NE(of("bundle,item\n7,cola\n7,coal\n").find(file + " line 3: "), std::string::npos);
  EXPECT_NE(of("bundle,item,user\n7,cola,bo\n").find(file + " line 2: "), std::string::npos);
  EXPECT_EQ(of("bundle,item,user\n7,cola,bob\n7,dip,ann\n"), file + " line 3: bundle '7' is of two users");
}

TEST(ItemWords, NamesAndCategories) {
  const HostCsr words = data::item_words(shop());
  // apple: red 0, apple 1 (twice), 2 2, @red 3, @food 4, @fruit 5; bun: hot 6, dog 7, bun 8, @food, @bread 9, @party
  // 10; cola has neither a name of its own nor a category; dip: glass 11 (no plural), dip 12.
  EXPECT_EQ(words.n_columns, 13);
  EXPECT_EQ(words.row_offsets, (std::vector<int64_t>{0, 6, 12, 12, 14}));
  EXPECT_EQ(words.columns, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 4, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(words.values[1], 2.0f);
  EXPECT_EQ(words.values[0], 1.0f);
}

}  // namespace
}  // namespace sheaf::data
