#pragma once

#include <map>
#include <string>
#include <utility>

#include "fs/config/environment.h"

namespace modelfs::test {

/// An environment that holds what the test says, and nothing of this process.
class FakeEnvironment : public fs::Environment {
 public:
  FakeEnvironment() = default;
  explicit FakeEnvironment(std::map<std::string, std::string, std::less<>> variables)
      : variables_(std::move(variables)) {}

  void Set(const std::string& name, const std::string& value) { variables_[name] = value; }
  void SetUid(uid_t uid) { uid_ = uid; }
  void SetHome(std::filesystem::path home) { home_ = std::move(home); }

  std::optional<std::string> Get(std::string_view name) const override {
    const auto found = variables_.find(name);
    if (found == variables_.end() || found->second.empty()) return std::nullopt;
    return found->second;
  }
  uid_t uid() const override { return uid_; }
  gid_t gid() const override { return uid_; }
  std::filesystem::path home() const override { return home_; }

 private:
  std::map<std::string, std::string, std::less<>> variables_;
  uid_t uid_ = 1000;
  std::filesystem::path home_ = "/home/tester";
};

}  // namespace modelfs::test
