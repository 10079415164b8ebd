#pragma once

#include <string>
#include <string_view>

#include "fetch/credentials/credential_source.h"

namespace modelfs::fetch {

/// Reads {"AccessKeyId", "SecretAccessKey", "SessionToken" or "Token", "Expiration"}: what
/// programs, containers and instances answer. The last two may be missing. Errors: kCorrupt: no
/// JSON object, a field missing or of another type, an unreadable time; kDenied: {"Code": other
/// than "Success", "Message"}. The text never quotes the document but for code and message.
Result<TemporaryKeys> ParseKeysJson(std::string_view text);

/// The answer to `action` ("AssumeRole") of STS.
/// Errors: kCorrupt.
/// Source: docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
Result<TemporaryKeys> ParseKeysXml(const std::string& text, std::string_view action);

}  // namespace modelfs::fetch
