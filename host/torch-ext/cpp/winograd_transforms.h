// The transforms' matrices, from their points.
//
// Y = A^T [(G g) * (B^T d)] for a correlation with r weights and m outputs, by Toom and Cook's interpolation at m + r - 2
// finite points and infinity. The points decide the rounding: those here were searched for the smallest error in float32
// (docs/decisions/0006-fewer-multiplications.md).
#pragma once

#include <array>
#include <cstddef>

namespace tandem::winograd {
namespace {

template <size_t ROWS, size_t COLUMNS>
using Matrix = std::array<std::array<double, COLUMNS>, ROWS>;

template <size_t M, size_t R>
struct Points;

template <>
struct Points<2, 2> {
  static constexpr std::array<double, 2> values{0, 1};
};
template <>
struct Points<4, 2> {
  static constexpr std::array<double, 4> values{0.5, -0.5, 1.25, -1.25};
};
template <>
struct Points<2, 3> {
  static constexpr std::array<double, 3> values{0, 1, -1};
};
template <>
struct Points<4, 3> {
  static constexpr std::array<double, 5> values{0, 0.625, -0.625, 1.5, -1.5};
};

template <size_t N>
using Coefficients = std::array<double, N + 1>;

// The product of (x - point) over all points but the one left out.
template <size_t N>
constexpr Coefficients<N> product(const std::array<double, N>& points, size_t left_out) {
  Coefficients<N> result{1};
  size_t degree = 0;
  for (size_t i = 0; i < N; ++i) {
    if (i == left_out) continue;
    ++degree;
    for (size_t k = degree; k > 0; --k) result[k] = result[k - 1] - points[i] * result[k];
    result[0] *= -points[i];
  }
  return result;
}

template <size_t M, size_t R>
struct Transform {
  static constexpr size_t m = M, r = R, points = M + R - 1, finite = points - 1;

  // B^T [points, points]
  static constexpr Matrix<points, points> input() {
    Matrix<points, points> result{};
    for (size_t i = 0; i < points; ++i) {
      const auto row = product(Points<M, R>::values, i);
      for (size_t k = 0; k < points; ++k) result[i][k] = row[k];
    }
    return result;
  }

  // G [points, r]
  static constexpr Matrix<points, R> kernel() {
    Matrix<points, R> result{};
    const auto& at = Points<M, R>::values;
    for (size_t i = 0; i < finite; ++i) {
      double scale = 1, power = 1;
      for (size_t j = 0; j < finite; ++j) {
        if (j != i) scale *= at[i] - at[j];
      }
      for (size_t k = 0; k < R; ++k, power *= at[i]) result[i][k] = power / scale;
    }
    result[finite][R - 1] = 1;
    return result;
  }

  // A^T [m, points]
  static constexpr Matrix<M, points> output() {
    Matrix<M, points> result{};
    for (size_t j = 0; j < finite; ++j) {
      double power = 1;
      for (size_t i = 0; i < M; ++i, power *= Points<M, R>::values[j]) result[i][j] = power;
    }
    result[M - 1][finite] = 1;
    return result;
  }
};

template <size_t ROWS, size_t COLUMNS>
constexpr Matrix<COLUMNS, ROWS> transposed(const Matrix<ROWS, COLUMNS>& matrix) {
  Matrix<COLUMNS, ROWS> result{};
  for (size_t i = 0; i < ROWS; ++i) {
    for (size_t k = 0; k < COLUMNS; ++k) result[k][i] = matrix[i][k];
  }
  return result;
}

}  // namespace
}  // namespace tandem::winograd
