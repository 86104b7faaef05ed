#pragma once
/// The strategies: how a chain begins a round, which parents it takes, how it improves. See search.hpp.

#include "kernels/genetic/search_chain.hpp"

namespace sheaf::genetic {

template <class Team, int kLimits, bool kSide>
class Recipes : public Chain<Team, kLimits, kSide> {
  using Base = Chain<Team, kLimits, kSide>;
  using V = typename Team::V;

 public:
  using Base::Base;

  /// One round. Annealing continues from `current` and leaves its set there. `out` is the best set found.
  SHEAF_TEAM void run(SearchSet* current, SearchSet* out) {
    const bool is_first = this->job_.pool == nullptr;
    switch (this->job_.params.recipe) {
      case Recipe::portfolio: portfolio(is_first); break;
      case Recipe::genetic: genetic(is_first); break;
      case Recipe::anneal: temper(is_first, current); break;
      case Recipe::greedy: restart(); break;
      case Recipe::relaxed: relax_and_round(is_first && this->job_.chain == 0); break;
    }
    this->rebuild(this->m_.best_mask);
    write(out);
  }

 private:
  SHEAF_TEAM int32_t iterations() const { return this->job_.params.iterations; }

  SHEAF_TEAM void write(SearchSet* out) {
    const float violation = this->violation(), value = this->value_;
    this->team_.leader([&] {
      for (int32_t w = 0; w < kMaskWords; ++w) out->mask[w] = this->m_.mask[w];
      out->value = value == value ? value : kNever;
      out->violation = violation;
    });
  }

  /// Takes as many must-haves as there is room for, lowest first.
  SHEAF_TEAM_CALL void take_musts() {
    for (int32_t i = 0; i < this->view_.n && this->size_ < this->view_.max_size; ++i) {
      if (this->must(i) && !this->has(i) && !(this->view_.closed[i] < 0.0f)) this->add(i);
    }
  }

  /// Adds the best newcomers. `noisy`: a random quarter of the candidates is left out of each choice.
  SHEAF_TEAM_CALL void grow(bool noisy, const uint32_t* within = nullptr) {
    for (int32_t step = 0; step < this->view_.n; ++step) {
      uint32_t skip[kMaskWords];
      if (noisy) {
        for (uint32_t& word : skip) {
          word = this->next();
          word &= this->next();
        }
      }
      const int32_t j = this->best_newcomer(this->m_.h, true, noisy ? skip : nullptr, within);
      if (j == kNone) break;
      this->add(j);
    }
  }

  /// Greedy from an empty set; `loose` starts from a few random members.
  SHEAF_TEAM_CALL void start(bool noisy) {
    this->clear();
    take_musts();
    if (noisy) add_random(1 + this->below(3));
    grow(noisy);
  }

  SHEAF_TEAM void add_random(int32_t count) {
    for (int32_t k = 0; k < count && this->size_ < this->view_.max_size; ++k) {
      const int32_t j = this->below(this->view_.n);
      if (!this->has(j) && !(this->view_.closed[j] < 0.0f)) this->add(j);
    }
  }

  SHEAF_TEAM void drop_random(int32_t count) {
    for (int32_t k = 0; k<count&& this->size_> 0; ++k) {
      const int32_t i = this->member(this->below(this->size_));
      if (!this->must(i)) this->drop(i);
    }
  }

  /// A place in the pool; a better place is more likely: the best of `rounds` draws.
  SHEAF_TEAM int32_t tournament(int32_t rounds) {
    int32_t winner = this->job_.params.chains;
    for (int32_t r = 0; r < rounds; ++r) {
      const int32_t rival = this->below(this->job_.params.chains);
      winner = rival < winner ? rival : winner;
    }
    return winner;
  }

  /// What both parents hold, filled from their union. False for equal parents: the child would be a copy.
  SHEAF_TEAM bool cross(const SearchSet& a, const SearchSet& b, bool noisy) {
    uint32_t both[kMaskWords], either[kMaskWords];
    bool differ = false;
    for (int32_t w = 0; w < kMaskWords; ++w) {
      both[w] = a.mask[w] & b.mask[w];
      either[w] = a.mask[w] | b.mask[w];
      differ = differ || a.mask[w] != b.mask[w];
    }
    this->rebuild(both);
    take_musts();
    grow(noisy, either);
    return differ;
  }

  SHEAF_TEAM_CALL void mutate(int32_t strength) {
    drop_random(strength);
    add_random(this->below(strength + 1));
    grow(true);
  }

  SHEAF_TEAM_CALL void breed(int32_t rounds, bool noisy, bool mutated, int32_t strength) {
    const SearchSet& a = this->job_.pool[tournament(rounds)];
    const SearchSet& b = this->job_.pool[tournament(rounds)];
    const bool differ = cross(a, b, noisy);
    if (mutated || !differ) {
      mutate(strength);
    } else {
      grow(false);
    }
  }

  SHEAF_TEAM void portfolio(bool is_first) {
    const int32_t chain = this->job_.chain;
    if (is_first) {
      if (chain == 1) {
        relax(false);
      } else {
        start(chain > 0);
      }
    } else if (this->below(4) == 0) {
      this->rebuild(this->job_.pool[tournament(2)].mask);
      mutate(2 + this->size_ / 4);
    } else {
      breed(1, true, this->below(4) == 0, 1 + this->size_ / 8);
    }
    this->begin();
    if (chain % 4 == 3) {
      this->set_prices(0.5f);
      this->anneal(2 * iterations(), Team::times(this->scale(), 0.125f), 0.0f);
      this->set_prices(1.0f);
      this->descend(iterations());
    } else {
      this->tabu(iterations());
    }
  }

  SHEAF_TEAM void genetic(bool is_first) {
    if (is_first) {
      start(true);
    } else {
      breed(3, false, this->below(10) < 3, 1);
    }
    this->begin();
    this->repair();
    this->descend(iterations());
  }

  SHEAF_TEAM void restart() {
    start(this->job_.chain > 0 || this->job_.round > 0);
    this->begin();
    this->repair();
    this->descend(kMaxCandidates);
  }

  SHEAF_TEAM void relax_and_round(bool plain) {
    relax(!plain);
    this->begin();
    this->repair();
    this->descend(kMaxCandidates);
  }

  /// A geometric ladder from a 2^-9 of the gains to half of them.
  SHEAF_TEAM void temper(bool is_first, SearchSet* current) {
    if (is_first) {
      start(true);
    } else {
      this->rebuild(current->mask);
    }
    this->begin();
    this->set_prices(1.0f);
    float temperature = Team::times(this->scale(), 0.5f);
    for (int32_t c = 8 * this->job_.chain / this->job_.params.chains; c < 8; ++c) temperature *= 0.5f;
    this->anneal(iterations(), temperature, temperature);
    write(current);
    this->descend(kMaxCandidates);
  }

  /// Gradient ascent on value(x) - sum of price * (load(x) - upper) for x = (1 + theta / (1 + |theta|)) / 2; then a set
  /// by descending theta.
  SHEAF_TEAM_CALL void relax(bool noisy) {
    constexpr int32_t kSteps = 32;
    this->clear();
    const Team& team = this->team_;
    const SearchView& view = this->view_;
    float* theta = this->m_.until;
    float* x = this->m_.x;
    float* h = this->m_.h;
    float* trust = this->m_.count;  // in a candidate's gain; free until the set is built
    team.lanes(view.stride, [&](int32_t j) {
      team.store(theta, j, V{});
      team.store(trust, j, V{} + 1.0f);
    });
    for (int32_t k = 0; noisy && k < view.n; ++k) {
      const float draw = this->uniform() + 0.5f;
      team.leader([&] { trust[k] = draw; });
    }
    float price[kLimits] = {}, size_price = 0.0f;
    for (int32_t step = 0; step < kSteps; ++step) {
      team.lanes(view.stride, [&](int32_t j) {
        const V t = team.load(theta, j), size = t < 0.0f ? -t : t;
        const V open = team.load(view.closed, j);
        const V share = t / (size + 1.0f) * 0.5f + 0.5f;
        team.store(x, j, open < 0.0f ? V{} : share);
      });
      team.lanes(view.stride, [&](int32_t j) {
        V sum = team.load(view.linear, j);
        const float* row = view.pair;
        for (int32_t i = 0; i < view.n; ++i, row += view.stride) sum += Team::times(x[i], team.load(row, j));
        team.store(h, j, sum);
      });
      double load[kLimits] = {};
      SHEAF_ROLLED
      for (int32_t r = 0; r < kLimits; ++r) {
        if (r >= view.n_limits) break;
        const float* weight = view.weight + r * view.stride;
        for (int32_t i = 0; i < view.n; ++i) load[r] += static_cast<double>(Team::times(x[i], weight[i]));
      }
      double size = 0.0;
      for (int32_t i = 0; i < view.n; ++i) size += static_cast<double>(x[i]);
      const float gain = this->scale();
      raise(size_price, size, static_cast<double>(view.max_size));
      SHEAF_ROLLED
      for (int32_t r = 0; r < kLimits; ++r) {
        if (r >= view.n_limits) break;
        raise(price[r], load[r], view.upper[r]);
      }
      team.lanes(view.stride, [&](int32_t j) {
        V slope = Team::times(team.load(trust, j), team.load(h, j) / gain) - size_price;
        SHEAF_ROLLED
        for (int32_t r = 0; r < kLimits; ++r) {
          if (r >= view.n_limits) break;
          slope -= Team::times(price[r], team.load(view.weight + r * view.stride, j) / view.heaviest[r]);
        }
        team.store(theta, j, team.load(theta, j) + slope);
      });
    }
    round_by(theta, x);
  }

  /// A price in units of the gains over the heaviest weight; the step is by the share that the load is over its bound.
  SHEAF_TEAM static void raise(float& price, double load, double upper) {
    const double size = upper < 0 ? -upper : upper;
    const auto over = static_cast<float>((load - upper) / (size > 1.0 ? size : 1.0));
    price += over > -1.0f ? Team::times(0.25f, over < 4.0f ? over : 4.0f) : -0.25f;
    price = price > 0.0f ? price : 0.0f;
  }

  SHEAF_TEAM_CALL void round_by(const float* theta, float* key) {
    this->team_.lanes(this->view_.stride, [&](int32_t j) {
      const V t = this->team_.load(theta, j), size = t < 0.0f ? -t : t;
      this->team_.store(key, j, t / (size + 1.0f) + 1.0f);  // positive: any may be taken
    });
    this->clear();
    take_musts();
    for (int32_t step = 0; step < this->view_.n; ++step) {
      const int32_t j = this->best_newcomer(key, false, nullptr, nullptr);
      if (j == kNone || !(this->m_.h[j] > 0.0f || this->size_ < this->view_.min_size)) break;
      this->add(j);
    }
  }
};

}  // namespace sheaf::genetic
