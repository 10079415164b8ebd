// What processes of one daemon, and its commands, say to each other.
#include "fs/control/wire.h"
#include "fs/daemon/broker_protocol.h"
#include "tests/fuzz/fuzz.h"

using namespace modelfs;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = test::Text(data, size);
  if (const auto message = fs::DecodeBrokerMessage(text, Fd())) {
    const std::string again = fs::EncodeBrokerMessage(*message);
    const auto twice = fs::DecodeBrokerMessage(again, Fd());
    test::Require(twice && fs::EncodeBrokerMessage(*twice) == again, "a message is sent as it is");
  }
  const Error error = fs::ParseErrorBody(500, text);
  test::Use(error);
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_discarded()) test::Use(fs::Dump(json));
  return 0;
}
