#pragma once
/// Baskets in the order in which each user bought them, and counts of two items along this order. Part of
/// substitutes.hpp.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/data/csr.hpp"

namespace sheaf {

class UserBaskets {
 public:
  /// A count beside the count expected by chance.
  struct Count {
    int32_t observed = 0;
    double expected = 0;
  };
  /// How many baskets of a user hold an item.
  struct Purchase {
    int32_t user, item, baskets;
  };

  /// baskets [n_baskets, n_items] pattern, user and time [n_baskets], category [n_items], negative: unknown. All must
  /// outlive this.
  UserBaskets(const HostCsr& baskets, std::span<const int32_t> user, std::span<const int64_t> time,
              std::span<const int32_t> category);

  int32_t n_items() const { return static_cast<int32_t>(baskets_.n_columns); }
  int32_t n_users() const { return n_users_; }
  int32_t n_categories() const { return n_categories_; }
  int32_t category(int32_t item) const { return category_[static_cast<size_t>(item)]; }

  /// A basket is known by its place in the order of users, then times, then numbers.
  int32_t n_places() const { return static_cast<int32_t>(order_.size()); }
  int32_t user(int32_t place) const { return user_[static_cast<size_t>(place)]; }
  const std::vector<int32_t>& users() const { return user_; }
  std::span<const int32_t> items(int32_t place) const { return baskets_.row(order_[static_cast<size_t>(place)]); }
  /// Places of the baskets with the item, ascending.
  std::span<const int32_t> places(int32_t item) const { return places_.row(item); }

  /// f_u: n_ui n_uj f_u baskets of the user would hold both if items fell into baskets at random.
  double spread(int32_t user) const { return spread_[static_cast<size_t>(user)]; }

  /// By user, then category, then item.
  const std::vector<Purchase>& purchases() const { return purchases_; }
  /// The item's purchases, as indices in ascending order.
  std::span<const int32_t> bought(int32_t item) const { return bought_.row(item); }

  /// Of each user's baskets that hold just one of the two: neighbours that differ. By chance 2 a b / (a + b) of a and b
  /// baskets.
  Count switches(int32_t i, int32_t j) const;
  /// Baskets with one of the two items whose next basket, at most `seconds` later, holds the other one, which the first
  /// did not. By chance min(1, n_uj w / sum w), where w is the width of the next basket.
  Count follows(int32_t i, int32_t j, int64_t seconds) const;

 private:
  void put_in_order();
  void weigh();
  void list_purchases();
  void add_follows(int32_t first, int32_t then, int64_t seconds, Count& count) const;

  const HostCsr& baskets_;
  std::span<const int32_t> basket_user_, category_;
  std::span<const int64_t> basket_time_;
  int32_t n_users_ = 0, n_categories_ = 0;
  std::vector<int32_t> order_, user_;        // [n_places]
  std::vector<double> width_;                // [n_places] different categories
  std::vector<double> spread_, all_widths_;  // [n_users]
  HostCsr places_, bought_;                  // [n_items, n_places], [n_items, n_purchases] patterns
  std::vector<Purchase> purchases_;
};

}  // namespace sheaf
