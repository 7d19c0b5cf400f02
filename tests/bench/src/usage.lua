-- What people write: find the usage in the body by a pattern. A stream is read chunk by chunk, anything else is buffered.
local function find(handle, text)
  local at = string.find(text, '"usage":{', 1, true)
  if at == nil then return false end
  local input = string.match(text, '"prompt_tokens":%s*(%d+)', at)
  local output = string.match(text, '"completion_tokens":%s*(%d+)', at)
  local metadata = handle:streamInfo():dynamicMetadata()
  if input then metadata:set("bench", "input", tonumber(input)) end
  if output then metadata:set("bench", "output", tonumber(output)) end
  return true
end

function envoy_on_response(handle)
  local kind = handle:headers():get("content-type") or ""
  if string.find(kind, "text/event-stream", 1, true) then
    for chunk in handle:bodyChunks() do
      find(handle, chunk:getBytes(0, chunk:length()))
    end
  else
    local body = handle:body()
    if body then find(handle, body:getBytes(0, body:length())) end
  end
end
