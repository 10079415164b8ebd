#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace modelfs::index {

/// Goes through a JSON document whose root is an object, front to back, without building it. What
/// derives from it says which values it accepts; false from any of its functions ends the visit.
class JsonVisitor : private nlohmann::json_sax<nlohmann::json> {
 public:
  /// False when it is no such document, nested deeper than 16, or refused.
  bool Visit(std::string_view text);

 protected:
  ~JsonVisitor() override = default;

  /// Objects and arrays that are open: 1 among the root's own keys and values.
  std::size_t depth() const { return depth_; }

  virtual bool Key(std::string& name) = 0;
  virtual bool Text(std::string& value) = 0;
  virtual bool Number(std::uint64_t value) = 0;
  /// Null, booleans, negative numbers, numbers with a point.
  virtual bool Other() = 0;
  /// Before the depth changes; not for the root.
  virtual bool Open(bool array) = 0;
  /// After the depth changed; not for the root.
  virtual bool Close() = 0;

 private:
  bool null() final { return depth_ > 0 && Other(); }
  bool boolean(bool) final { return depth_ > 0 && Other(); }
  bool number_integer(std::int64_t) final { return depth_ > 0 && Other(); }
  bool number_unsigned(std::uint64_t value) final { return depth_ > 0 && Number(value); }
  bool number_float(double, const std::string&) final { return depth_ > 0 && Other(); }
  bool string(std::string& value) final { return depth_ > 0 && Text(value); }
  bool binary(nlohmann::json::binary_t&) final { return false; }
  bool start_object(std::size_t) final { return Enter(false); }
  bool key(std::string& name) final { return Key(name); }
  bool end_object() final { return Leave(); }
  bool start_array(std::size_t) final { return Enter(true); }
  bool end_array() final { return Leave(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) final {
    return false;
  }

  bool Enter(bool array);
  bool Leave();

  std::size_t depth_ = 0;
};

}  // namespace modelfs::index
