#pragma once
/// One element of a recurrent layer, for both backends. Math is a struct with sigmoid and tanh.

#include "kernels/core/hd.hpp"
#include "kernels/recurrent/recurrent.hpp"

namespace sheaf::recurrent {

struct GruElement {
  float r, z, n, h;
};

/// u of r and z, q = u_n + b, h of the row before.
template <class Math>
SHEAF_HD inline GruElement gru_element(float x_r, float x_z, float x_n, float u_r, float u_z, float q, float before) {
  const float r = Math::sigmoid(x_r + u_r);
  const float z = Math::sigmoid(x_z + u_z);
  const float n = Math::tanh(x_n + r * q);
  return {r, z, n, (1.0f - z) * n + z * before};
}

struct GruGradient {
  float r, z, n;  // of x
  float q;
  float before;  // of h of the row before, without what comes through U
};

SHEAF_HD inline GruGradient gru_gradient(float r, float z, float n, float q, float before, float d_h) {
  const float d_n = d_h * (1.0f - z) * ((1.0f - n) * (1.0f + n));
  return {d_n * q * (r * (1.0f - r)), d_h * (before - n) * (z * (1.0f - z)), d_n, d_n * r, d_h * z};
}

struct LstmElement {
  float i, f, g, o, c, h;
};

/// The sums x + u of the four gates, c of the row before.
template <class Math>
SHEAF_HD inline LstmElement lstm_element(float a_i, float a_f, float a_g, float a_o, float before) {
  const float i = Math::sigmoid(a_i);
  const float f = Math::sigmoid(a_f);
  const float g = Math::tanh(a_g);
  const float o = Math::sigmoid(a_o);
  const float c = f * before + i * g;
  return {i, f, g, o, c, o * Math::tanh(c)};
}

struct LstmGradient {
  float i, f, g, o;  // of x
  float before;      // of c of the row before
};

/// d_c: what the row after gives to c.
template <class Math>
SHEAF_HD inline LstmGradient lstm_gradient(float i, float f, float g, float o, float c, float before, float d_h,
                                           float d_c) {
  const float squashed = Math::tanh(c);
  const float d = d_c + d_h * o * ((1.0f - squashed) * (1.0f + squashed));
  return {d * g * (i * (1.0f - i)), d * before * (f * (1.0f - f)), d * i * ((1.0f - g) * (1.0f + g)),
          d_h * squashed * (o * (1.0f - o)), d * f};
}

}  // namespace sheaf::recurrent
