#pragma once
/// e^x for vectors of floats, of any vector type. Only templates, for translation units that are compiled for a newer
/// instruction set than the rest (lanes_avx2.hpp): Vector is a type of that unit alone.
///
/// Vector is a struct with: Floats, broadcast, multiply_add(a, b, c) = a b + c, multiply, maximum(a, b) (b if one is
/// NaN), round, power (2^n of integers in float, n > -127), below(x, limit, y) (0 where x < limit, else y).

namespace sheaf {

constexpr float kLeastExponent = -87.33654f;  // log of the smallest normal float

namespace detail {

/// e^x = power + power * above: power = 2^n, above = e^r - 1 with |r| <= log(2) / 2.
template <class Vector>
struct SplitExponential {
  typename Vector::Floats power, above;
};

/// Of max(kLeastExponent, x). e^r - 1 - r = r^2 times a minimax polynomial (relative error of the whole e^r 2^-28).
template <class Vector>
inline SplitExponential<Vector> split_exponential(typename Vector::Floats x) {
  using Floats = typename Vector::Floats;
  const auto constant = [](float value) { return Vector::broadcast(value); };
  const Floats clamped = Vector::maximum(constant(kLeastExponent), x);
  const Floats n = Vector::round(Vector::multiply(clamped, constant(0x1.715476p+0f)));
  Floats r = Vector::multiply_add(n, constant(-0x1.63p-1f), clamped);
  r = Vector::multiply_add(n, constant(0x1.bd0106p-13f), r);
  Floats p = constant(0x1.6a23cep-10f);
  p = Vector::multiply_add(p, r, constant(0x1.123a2p-7f));
  p = Vector::multiply_add(p, r, constant(0x1.5558f2p-5f));
  p = Vector::multiply_add(p, r, constant(0x1.555492p-3f));
  p = Vector::multiply_add(p, r, constant(0x1.fffffcp-2f));
  p = Vector::multiply_add(p, Vector::multiply(r, r), r);
  return {Vector::power(n), p};
}

}  // namespace detail

/// e^x, at most 1.1 units in the last place off; 0 where it is no normal number; NaN for NaN; x <= 88.
template <class Vector>
inline typename Vector::Floats exponential(typename Vector::Floats x) {
  const auto e = detail::split_exponential<Vector>(x);
  return Vector::below(x, Vector::broadcast(kLeastExponent), Vector::multiply_add(e.above, e.power, e.power));
}

/// e^x - 1 for x <= 0, at most 1.5 units in the last place off; x itself where |x| is small; NaN for NaN.
template <class Vector>
inline typename Vector::Floats exponential_minus_one(typename Vector::Floats x) {
  const auto e = detail::split_exponential<Vector>(x);
  const auto whole = Vector::multiply_add(Vector::broadcast(1.0f), e.power, Vector::broadcast(-1.0f));
  return Vector::multiply_add(e.above, e.power, whole);
}

}  // namespace sheaf
