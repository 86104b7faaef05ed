#include <gtest/gtest.h>
TEST(Simt, X) {}
