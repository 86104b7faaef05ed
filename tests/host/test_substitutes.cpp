#include "host/app/substitutes.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "host/app/dataset.hpp"
#include "host/data/import.hpp"

namespace sheaf::app {
namespace {

TEST(ProductType, IsTheNameWithoutItsSize) {
  EXPECT_EQ(product_type("EGGS - LARGE 1 DZ"), "EGGS - LARGE");
  EXPECT_EQ(product_type("Cream cheese L      8 oz"), "CREAM CHEESE");
  EXPECT_EQ(product_type("SOFT DRINKS 12/18&15PK CAN CAR 12 OZ CAN"), "SOFT DRINKS 12/18&15PK CAN CAR");
  EXPECT_EQ(product_type("SET OF 6 SPICE TINS"), "SET OF 6 SPICE TINS");
  EXPECT_EQ(product_type("7 UP"), "7 UP");
  EXPECT_EQ(product_type("12 OZ"), "12");
  EXPECT_EQ(product_type("  "), "");
  EXPECT_EQ(product_type(""), "");
}

}  // namespace
}  // namespace sheaf::app
