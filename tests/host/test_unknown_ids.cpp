#include "host/data/unknown_ids.hpp"

#include <gtest/gtest.h>

#include "kernels/core/error.hpp"
#include "tests/host/shop.hpp"

namespace sheaf::data {
namespace {

TEST(UnknownIds, AreCountedAndTheFirstAreNamed) {
  const Prepared shop = app::weekly_shop(kTest);
  IdLookup ids("stock.csv", shop, UnknownPolicy::skip);
  EXPECT_EQ(ids.item("i2", 2), 2);
  EXPECT_EQ(ids.note(), "");
  for (int line = 3; line < 10; ++line) EXPECT_EQ(ids.item("x" + std::to_string(line), line), -1);
  EXPECT_EQ(ids.user("u103", 10), 3);
  EXPECT_EQ(ids.user(std::string(100, 'u'), 11), -1);
  ids.require_any();
  EXPECT_EQ(ids.note(),
            "stock.csv: 1 of 2 users are not in shop and are left out: '" + std::string(39, 'u') +
                "…' (line 11); stock.csv: 7 of 8 items are not in shop and are left out: 'x3' (line 3), 'x4' (line 4), "
                "'x5' (line 5), 'x6' (line 6), 'x7' (line 7), …");
}

TEST(UnknownIds, AFileWithoutAnyKnownIdIsAnError) {
  const Prepared shop = app::weekly_shop(kTest);
  IdLookup ids("stock.csv", shop, UnknownPolicy::skip);
  ids.require_any();  // names nothing
  ids.user("u100", 2);
  ids.item("x", 2);
  EXPECT_THROW(ids.require_any(), DataError);
}

TEST(UnknownIds, AreRefusedWithTheNearestWhereThatIsAsked) {
  const Prepared shop = app::weekly_shop(kTest);
  IdLookup ids("stock.csv", shop, unknown_policy("refuse"));
  EXPECT_EQ(ids.item("i7", 2), 7);
  try {
    ids.item("i77", 3);
    FAIL();
  } catch (const DataError& error) {
    EXPECT_EQ(std::string(error.what()), "stock.csv line 3: no item 'i77' in shop (8 are known)");
    EXPECT_NE(error.hint().find("did you mean 'i7'?"), std::string::npos) << error.hint();
    EXPECT_NE(error.hint().find("run.unknown_ids"), std::string::npos) << error.hint();
  }
}

}  // namespace
}  // namespace sheaf::data
