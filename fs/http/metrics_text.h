#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace modelfs::fs {

/// Builds a page in the text format of Prometheus, version 0.0.4.
/// https://prometheus.io/docs/instrumenting/exposition_formats/
/// Threads: one.
class MetricsText {
 public:
  enum class Type : std::uint8_t {
    kGauge,    ///< Goes up and down.
    kCounter,  ///< Only up, from 0 at each start; its name ends in _total.
  };
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  /// Begins a family; its samples follow. Each name begins once.
  void Family(std::string_view name, Type type, std::string_view help);
  /// Label values may be any bytes: what is no UTF-8 is replaced.
  void Sample(double value, Labels labels = {});
  /// A family of one sample without labels.
  void One(std::string_view name, Type type, std::string_view help, double value);

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

}  // namespace modelfs::fs
