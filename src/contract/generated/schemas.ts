// biome-ignore-all format: generated
// biome-ignore-all lint: generated
/** Generated from the schemas beside it by scripts/generate-schemas.ts. Do not edit. */
type JsonDocument = Readonly<Record<string, unknown>>;

export const NODE_PAYLOAD_SCHEMA: JsonDocument = {
 "$id": "https://monarch.meta.com/schemas/v1/node_payload",
 "$schema": "https://json-schema.org/draft/2020-12/schema",
 "title": "NodePayload",
 "type": "object",
 "properties": {
  "identity": {
   "type": "string"
  },
  "properties": {
   "$ref": "#/$defs/NodeProperties"
  },
  "children": {
   "type": "array",
   "items": {
    "type": "string"
   }
  },
  "parent": {
   "type": [
    "string",
    "null"
   ]
  },
  "as_of": {
   "type": "string"
  }
 },
 "required": [
  "identity",
  "properties",
  "children",
  "as_of"
 ],
 "$defs": {
  "ActiveHandler": {
   "type": "object",
   "properties": {
    "name": {
     "type": "string"
    },
    "active_count": {
     "type": "integer",
     "minimum": 0,
     "format": "uint64"
    },
    "oldest_since": {
     "type": "string"
    }
   },
   "required": [
    "name",
    "active_count",
    "oldest_since"
   ]
  },
  "Execution": {
   "type": "object",
   "properties": {
    "active_count": {
     "type": "integer",
     "minimum": 0,
     "format": "uint64"
    },
    "active_handlers": {
     "type": "array",
     "items": {
      "$ref": "#/$defs/ActiveHandler"
     }
    },
    "complete": {
     "type": "boolean"
    },
    "truncated": {
     "type": "boolean"
    }
   },
   "required": [
    "active_count",
    "active_handlers",
    "complete",
    "truncated"
   ]
  },
  "FailureInfo": {
   "type": "object",
   "properties": {
    "error_message": {
     "type": "string"
    },
    "root_cause_actor": {
     "type": "string"
    },
    "root_cause_name": {
     "type": [
      "string",
      "null"
     ]
    },
    "occurred_at": {
     "type": "string"
    },
    "is_propagated": {
     "type": "boolean"
    }
   },
   "required": [
    "error_message",
    "root_cause_actor",
    "occurred_at",
    "is_propagated"
   ]
  },
  "InboundOrdering": {
   "type": "object",
   "properties": {
    "enabled": {
     "type": "boolean"
    },
    "snapshot_complete": {
     "type": "boolean"
    },
    "skipped_session_count": {
     "type": "integer",
     "minimum": 0,
     "format": "uint"
    },
    "known_session_count": {
     "type": "integer",
     "minimum": 0,
     "format": "uint"
    },
    "returned_buffered_session_count": {
     "type": "integer",
     "minimum": 0,
     "format": "uint"
    },
    "returned_buffered_message_count": {
     "type": "integer",
     "minimum": 0,
     "format": "uint"
    },
    "returned_max_buffered_count": {
     "type": "integer",
     "minimum": 0,
     "format": "uint"
    },
    "sessions": {
     "type": "array",
     "items": {
      "$ref": "#/$defs/OrderingSessionSnapshot"
     }
    }
   },
   "required": [
    "enabled",
    "snapshot_complete",
    "skipped_session_count",
    "known_session_count",
    "returned_buffered_session_count",
    "returned_buffered_message_count",
    "returned_max_buffered_count",
    "sessions"
   ]
  },
  "NodeProperties": {
   "oneOf": [
    {
     "type": "object",
     "properties": {
      "Root": {
       "type": "object",
       "properties": {
        "num_hosts": {
         "type": "integer",
         "minimum": 0,
         "format": "uint"
        },
        "started_at": {
         "type": "string"
        },
        "started_by": {
         "type": "string"
        },
        "system_children": {
         "type": "array",
         "items": {
          "type": "string"
         }
        }
       },
       "required": [
        "num_hosts",
        "started_at",
        "started_by",
        "system_children"
       ]
      }
     },
     "required": [
      "Root"
     ],
     "additionalProperties": false
    },
    {
     "type": "object",
     "properties": {
      "Host": {
       "type": "object",
       "properties": {
        "addr": {
         "type": "string"
        },
        "num_procs": {
         "type": "integer",
         "minimum": 0,
         "format": "uint"
        },
        "system_children": {
         "type": "array",
         "items": {
          "type": "string"
         }
        },
        "memory": {
         "$ref": "#/$defs/ProcessMemoryStats"
        }
       },
       "required": [
        "addr",
        "num_procs",
        "system_children",
        "memory"
       ]
      }
     },
     "required": [
      "Host"
     ],
     "additionalProperties": false
    },
    {
     "type": "object",
     "properties": {
      "Proc": {
       "type": "object",
       "properties": {
        "proc_name": {
         "type": "string"
        },
        "num_actors": {
         "type": "integer",
         "minimum": 0,
         "format": "uint"
        },
        "system_children": {
         "type": "array",
         "items": {
          "type": "string"
         }
        },
        "stopped_children": {
         "type": "array",
         "items": {
          "type": "string"
         }
        },
        "stopped_retention_cap": {
         "type": "integer",
         "minimum": 0,
         "format": "uint"
        },
        "is_poisoned": {
         "type": "boolean"
        },
        "failed_actor_count": {
         "type": "integer",
         "minimum": 0,
         "format": "uint"
        },
        "debug": {
         "$ref": "#/$defs/ProcDebugStats"
        }
       },
       "required": [
        "proc_name",
        "num_actors",
        "system_children",
        "stopped_children",
        "stopped_retention_cap",
        "is_poisoned",
        "failed_actor_count",
        "debug"
       ]
      }
     },
     "required": [
      "Proc"
     ],
     "additionalProperties": false
    },
    {
     "type": "object",
     "properties": {
      "Actor": {
       "type": "object",
       "properties": {
        "actor_status": {
         "type": "string"
        },
        "actor_type": {
         "type": "string"
        },
        "instance_id": {
         "type": "string"
        },
        "messages_processed": {
         "type": "integer",
         "minimum": 0,
         "format": "uint64"
        },
        "created_at": {
         "type": [
          "string",
          "null"
         ]
        },
        "last_message_handler": {
         "type": [
          "string",
          "null"
         ]
        },
        "total_processing_time_us": {
         "type": "integer",
         "minimum": 0,
         "format": "uint64"
        },
        "queue_depth": {
         "type": "integer",
         "minimum": 0,
         "format": "uint64"
        },
        "flight_recorder": {
         "type": [
          "string",
          "null"
         ]
        },
        "is_system": {
         "type": "boolean"
        },
        "inbound_ordering": {
         "anyOf": [
          {
           "$ref": "#/$defs/InboundOrdering"
          },
          {
           "type": "null"
          }
         ]
        },
        "failure_info": {
         "anyOf": [
          {
           "$ref": "#/$defs/FailureInfo"
          },
          {
           "type": "null"
          }
         ]
        },
        "execution": {
         "anyOf": [
          {
           "$ref": "#/$defs/Execution"
          },
          {
           "type": "null"
          }
         ]
        }
       },
       "required": [
        "actor_status",
        "actor_type",
        "instance_id",
        "messages_processed",
        "total_processing_time_us",
        "queue_depth",
        "is_system"
       ]
      }
     },
     "required": [
      "Actor"
     ],
     "additionalProperties": false
    },
    {
     "type": "object",
     "properties": {
      "Error": {
       "type": "object",
       "properties": {
        "code": {
         "type": "string"
        },
        "message": {
         "type": "string"
        }
       },
       "required": [
        "code",
        "message"
       ]
      }
     },
     "required": [
      "Error"
     ],
     "additionalProperties": false
    }
   ]
  },
  "OrderingSessionSnapshot": {
   "type": "object",
   "properties": {
    "session_id": {
     "type": "string"
    },
    "sender": {
     "type": [
      "string",
      "null"
     ]
    },
    "last_released_seq": {
     "type": "integer",
     "minimum": 0,
     "format": "uint64"
    },
    "expected_next_seq": {
     "type": "integer",
     "minimum": 0,
     "format": "uint64"
    },
    "buffered_count": {
     "type": "integer",
     "minimum": 0,
     "format": "uint"
    },
    "oldest_buffered_seq": {
     "type": [
      "integer",
      "null"
     ],
     "minimum": 0,
     "format": "uint64"
    },
    "newest_buffered_seq": {
     "type": [
      "integer",
      "null"
     ],
     "minimum": 0,
     "format": "uint64"
    }
   },
   "required": [
    "session_id",
    "last_released_seq",
    "expected_next_seq",
    "buffered_count"
   ]
  },
  "ProcDebugStats": {
   "type": "object",
   "properties": {
    "memory": {
     "$ref": "#/$defs/ProcessMemoryStats"
    },
    "actor_work_queue_depth_total": {
     "type": "integer",
     "minimum": 0,
     "format": "uint64"
    },
    "actor_work_queue_depth_max": {
     "type": "integer",
     "minimum": 0,
     "format": "uint64"
    },
    "actor_work_queue_depth_high_water_mark": {
     "type": "integer",
     "minimum": 0,
     "format": "uint64"
    },
    "last_nonzero_queue_depth_age_ms": {
     "type": [
      "integer",
      "null"
     ],
     "minimum": 0,
     "format": "uint64"
    }
   },
   "required": [
    "memory",
    "actor_work_queue_depth_total",
    "actor_work_queue_depth_max",
    "actor_work_queue_depth_high_water_mark"
   ]
  },
  "ProcessMemoryStats": {
   "type": "object",
   "properties": {
    "process_rss_bytes": {
     "type": [
      "integer",
      "null"
     ],
     "minimum": 0,
     "format": "uint64"
    },
    "process_vm_size_bytes": {
     "type": [
      "integer",
      "null"
     ],
     "minimum": 0,
     "format": "uint64"
    }
   }
  }
 }
};

export const ADMIN_INFO_SCHEMA: JsonDocument = {
 "$id": "https://monarch.meta.com/schemas/v1/admin_info",
 "$schema": "https://json-schema.org/draft/2020-12/schema",
 "title": "AdminInfo",
 "type": "object",
 "properties": {
  "actor_id": {
   "type": "string"
  },
  "proc_id": {
   "type": "string"
  },
  "host": {
   "type": "string"
  },
  "url": {
   "type": "string"
  }
 },
 "required": [
  "actor_id",
  "proc_id",
  "host",
  "url"
 ]
};

export const API_ERROR_SCHEMA: JsonDocument = {
 "$id": "https://monarch.meta.com/schemas/v1/error",
 "$schema": "https://json-schema.org/draft/2020-12/schema",
 "title": "ApiErrorEnvelope",
 "type": "object",
 "properties": {
  "error": {
   "$ref": "#/$defs/ApiError"
  }
 },
 "required": [
  "error"
 ],
 "$defs": {
  "ApiError": {
   "type": "object",
   "properties": {
    "code": {
     "type": "string"
    },
    "message": {
     "type": "string"
    },
    "details": {}
   },
   "required": [
    "code",
    "message"
   ]
  }
 }
};

export const OPENAPI_DOCUMENT: JsonDocument = {
 "openapi": "3.1.0",
 "info": {
  "title": "meshscope mesh admin API",
  "version": "1.0.0",
  "description": "What a mesh of processes is doing right now. Nodes are named by references; start at /v1/root and follow `children`. Every error is an ApiErrorEnvelope, also on paths that are not listed; decide on `error.code`. HEAD works where GET does.",
  "license": {
   "name": "MIT",
   "identifier": "MIT"
  }
 },
 "servers": [
  {
   "url": "/"
  }
 ],
 "security": [
  {
   "bearer": []
  },
  {
   "mutualTLS": []
  },
  {}
 ],
 "tags": [
  {
   "name": "topology",
   "description": "What there is: hosts, procs, actors."
  },
  {
   "name": "processes",
   "description": "Stacks, profiles and configuration of one process, asked of its host."
  },
  {
   "name": "telemetry",
   "description": "What is stored, by SQL."
  },
  {
   "name": "links",
   "description": "How host agents and the telemetry service reach this server."
  },
  {
   "name": "about",
   "description": "This server and its contract."
  }
 ],
 "paths": {
  "/SKILL.md": {
   "get": {
    "summary": "The guide to this API",
    "operationId": "getGuide",
    "tags": [
     "about"
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "text/markdown": {}
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     }
    }
   }
  },
  "/healthz": {
   "get": {
    "summary": "Whether this server is up, and what it counts",
    "operationId": "getHealth",
    "tags": [
     "about"
    ],
    "security": [],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "required": [
          "ok",
          "service",
          "hosts",
          "links",
          "telemetry"
         ],
         "properties": {
          "ok": {
           "const": true
          },
          "service": {
           "type": "string"
          },
          "telemetry": {
           "type": "boolean",
           "description": "Whether a store is configured."
          },
          "hosts": {
           "type": "integer",
           "minimum": 0
          },
          "links": {
           "type": "integer",
           "minimum": 0
          }
         }
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/metrics": {
   "get": {
    "summary": "What this server measures of itself",
    "operationId": "getMetrics",
    "tags": [
     "about"
    ],
    "description": "The Prometheus text format. On Workers, the counts of the mesh alone.",
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "text/plain": {}
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/admin": {
   "get": {
    "summary": "What this server says of itself",
    "operationId": "getAdminInfo",
    "tags": [
     "about"
    ],
    "description": "Its own actor and proc in the mesh, and the URL it is reached by.",
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/AdminInfo"
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     }
    }
   }
  },
  "/v1/config/{proc_reference}": {
   "get": {
    "summary": "Configuration of a proc",
    "operationId": "getConfig",
    "tags": [
     "processes"
    ],
    "description": "Effective values, defaults and where each value came from, sorted by name.",
    "parameters": [
     {
      "name": "proc_reference",
      "in": "path",
      "required": true,
      "description": "Percent-encoded reference of a proc.",
      "schema": {
       "type": "string"
      },
      "example": "trainer-0<BLs6T7ZaDRB>@ipc://gpu-7"
     }
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/ConfigDumpResult"
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "404": {
      "$ref": "#/components/responses/NotFound"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/events": {
   "get": {
    "summary": "Live updates of topology and status",
    "operationId": "followEvents",
    "tags": [
     "topology"
    ],
    "description": "Server-sent events without end: each `data` is a LiveEvent, each `id` goes into the Last-Event-ID header of a client that comes back. An event `snapshot` says to read the mesh again, from /v1/root.",
    "parameters": [
     {
      "name": "Last-Event-ID",
      "in": "header",
      "required": false,
      "description": "The `id` of the last event that was read: the events after it follow.",
      "schema": {
       "type": "string"
      }
     }
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "text/event-stream": {
        "schema": {
         "type": "string",
         "contentMediaType": "application/json",
         "contentSchema": {
          "$ref": "#/components/schemas/LiveEvent"
         }
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/link": {
   "get": {
    "summary": "Where host agents dial in, by WebSocket",
    "operationId": "openLink",
    "tags": [
     "links"
    ],
    "description": "Subprotocol `meshscope.link.1`. Always needs a token.",
    "parameters": [
     {
      "name": "host",
      "in": "query",
      "required": false,
      "description": "The host that the link is for; its `hello` must name the same.",
      "schema": {
       "type": "string"
      },
      "example": "gpu-7"
     }
    ],
    "security": [
     {
      "bearer": []
     },
     {
      "mutualTLS": []
     }
    ],
    "responses": {
     "101": {
      "description": "The link is open: the agent says hello."
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     },
     "default": {
      "description": "Anything else is a refusal.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/ApiErrorEnvelope"
        }
       }
      }
     }
    }
   }
  },
  "/v1/openapi.json": {
   "get": {
    "summary": "This document",
    "operationId": "getOpenApi",
    "tags": [
     "about"
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "required": [
          "openapi",
          "paths"
         ],
         "properties": {
          "openapi": {
           "type": "string"
          },
          "paths": {
           "type": "object"
          }
         }
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     }
    }
   }
  },
  "/v1/pyspy/{proc_reference}": {
   "get": {
    "summary": "Python stacks of a proc, now",
    "operationId": "getPyspy",
    "tags": [
     "processes"
    ],
    "description": "Answers 200 whatever became of the dump: Ok, BinaryNotFound or Failed.",
    "parameters": [
     {
      "name": "proc_reference",
      "in": "path",
      "required": true,
      "description": "Percent-encoded reference of a proc.",
      "schema": {
       "type": "string"
      },
      "example": "trainer-0<BLs6T7ZaDRB>@ipc://gpu-7"
     },
     {
      "name": "locals",
      "in": "query",
      "required": false,
      "description": "Whether to take the values of local variables too. They may hold secrets.",
      "schema": {
       "type": "boolean",
       "default": false
      }
     }
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/PySpyResult"
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "404": {
      "$ref": "#/components/responses/NotFound"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/pyspy_dump/{proc_reference}": {
   "post": {
    "summary": "Take the Python stacks of a proc and store them",
    "operationId": "pyspyDumpAndStore",
    "tags": [
     "processes"
    ],
    "description": "Only a dump that was captured is stored. A body is not looked at.",
    "parameters": [
     {
      "name": "proc_reference",
      "in": "path",
      "required": true,
      "description": "Percent-encoded reference of a proc.",
      "schema": {
       "type": "string"
      },
      "example": "trainer-0<BLs6T7ZaDRB>@ipc://gpu-7"
     },
     {
      "name": "locals",
      "in": "query",
      "required": false,
      "description": "Whether to take the values of local variables too. They may hold secrets.",
      "schema": {
       "type": "boolean",
       "default": false
      }
     }
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/PyspyDumpAndStoreResponse"
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "404": {
      "$ref": "#/components/responses/NotFound"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/pyspy_profile_svg/{proc_reference}": {
   "post": {
    "summary": "Profile a proc, as a flame graph",
    "operationId": "pyspyProfileSvg",
    "tags": [
     "processes"
    ],
    "description": "Samples for duration_s seconds (at most 300) and answers when the flame graph is drawn.",
    "parameters": [
     {
      "name": "proc_reference",
      "in": "path",
      "required": true,
      "description": "Percent-encoded reference of a proc.",
      "schema": {
       "type": "string"
      },
      "example": "trainer-0<BLs6T7ZaDRB>@ipc://gpu-7"
     }
    ],
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/PySpyProfileOpts"
       }
      }
     }
    },
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "image/svg+xml": {}
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "404": {
      "$ref": "#/components/responses/NotFound"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "413": {
      "$ref": "#/components/responses/PayloadTooLarge"
     },
     "415": {
      "$ref": "#/components/responses/UnsupportedMediaType"
     },
     "422": {
      "$ref": "#/components/responses/Unprocessable"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/query": {
   "post": {
    "summary": "SQL over stored events, snapshots and dumps",
    "operationId": "queryProxy",
    "tags": [
     "telemetry"
    ],
    "description": "One read-only statement. 64-bit integers are bare JSON numbers. Accept chooses CSV or an Arrow IPC stream instead of JSON.",
    "requestBody": {
     "required": true,
     "content": {
      "application/json": {
       "schema": {
        "$ref": "#/components/schemas/QueryRequest"
       },
       "example": {
        "sql": "SELECT 1 AS n"
       }
      }
     }
    },
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/QueryResponse"
        },
        "example": {
         "rows": [
          {
           "n": 1
          }
         ]
        }
       },
       "text/csv": {},
       "application/vnd.apache.arrow.stream": {}
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "404": {
      "$ref": "#/components/responses/NotFound"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "413": {
      "$ref": "#/components/responses/PayloadTooLarge"
     },
     "415": {
      "$ref": "#/components/responses/UnsupportedMediaType"
     },
     "422": {
      "$ref": "#/components/responses/Unprocessable"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/root": {
   "get": {
    "summary": "The root node",
    "operationId": "getRoot",
    "tags": [
     "topology"
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NodePayload"
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/schema": {
   "get": {
    "summary": "JSON Schema of NodePayload",
    "operationId": "getSchema",
    "tags": [
     "about"
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "required": [
          "$id",
          "$schema"
         ],
         "properties": {
          "$id": {
           "type": "string"
          },
          "$schema": {
           "type": "string"
          }
         }
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     }
    }
   }
  },
  "/v1/schema/admin": {
   "get": {
    "summary": "JSON Schema of AdminInfo",
    "operationId": "getAdminSchema",
    "tags": [
     "about"
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "required": [
          "$id",
          "$schema"
         ],
         "properties": {
          "$id": {
           "type": "string"
          },
          "$schema": {
           "type": "string"
          }
         }
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     }
    }
   }
  },
  "/v1/schema/error": {
   "get": {
    "summary": "JSON Schema of the error envelope",
    "operationId": "getErrorSchema",
    "tags": [
     "about"
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "type": "object",
         "required": [
          "$id",
          "$schema"
         ],
         "properties": {
          "$id": {
           "type": "string"
          },
          "$schema": {
           "type": "string"
          }
         }
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     }
    }
   }
  },
  "/v1/store": {
   "get": {
    "summary": "Where a telemetry service dials in, by WebSocket",
    "operationId": "openStore",
    "tags": [
     "links"
    ],
    "description": "Subprotocol `meshscope.store.1`. Always needs a token.",
    "security": [
     {
      "bearer": []
     },
     {
      "mutualTLS": []
     }
    ],
    "responses": {
     "101": {
      "description": "The link is open: the service says hello."
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     },
     "default": {
      "description": "Anything else is a refusal.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/ApiErrorEnvelope"
        }
       }
      }
     }
    }
   }
  },
  "/v1/tree": {
   "get": {
    "summary": "The whole mesh as text, a link per line",
    "operationId": "getTree",
    "tags": [
     "topology"
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "text/plain": {}
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  },
  "/v1/{reference}": {
   "get": {
    "summary": "Any node by its reference",
    "operationId": "resolveReference",
    "tags": [
     "topology"
    ],
    "parameters": [
     {
      "name": "reference",
      "in": "path",
      "required": true,
      "description": "Percent-encoded reference of a node, as found in `children`.",
      "schema": {
       "type": "string"
      },
      "example": "host:host_agent.service@ipc://gpu-7"
     }
    ],
    "responses": {
     "200": {
      "description": "Success.",
      "content": {
       "application/json": {
        "schema": {
         "$ref": "#/components/schemas/NodePayload"
        }
       }
      }
     },
     "400": {
      "$ref": "#/components/responses/BadRequest"
     },
     "401": {
      "$ref": "#/components/responses/Unauthorized"
     },
     "403": {
      "$ref": "#/components/responses/Forbidden"
     },
     "404": {
      "$ref": "#/components/responses/NotFound"
     },
     "405": {
      "$ref": "#/components/responses/MethodNotAllowed"
     },
     "408": {
      "$ref": "#/components/responses/RequestTimeout"
     },
     "431": {
      "$ref": "#/components/responses/HeadTooLarge"
     },
     "500": {
      "$ref": "#/components/responses/Failed"
     },
     "503": {
      "$ref": "#/components/responses/Unavailable"
     },
     "504": {
      "$ref": "#/components/responses/TooLate"
     }
    }
   }
  }
 },
 "components": {
  "schemas": {
   "ActiveHandler": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string"
     },
     "active_count": {
      "type": "integer",
      "minimum": 0,
      "format": "uint64"
     },
     "oldest_since": {
      "type": "string"
     }
    },
    "required": [
     "name",
     "active_count",
     "oldest_since"
    ]
   },
   "AdminInfo": {
    "title": "AdminInfo",
    "type": "object",
    "properties": {
     "actor_id": {
      "type": "string"
     },
     "proc_id": {
      "type": "string"
     },
     "host": {
      "type": "string"
     },
     "url": {
      "type": "string"
     }
    },
    "required": [
     "actor_id",
     "proc_id",
     "host",
     "url"
    ]
   },
   "ApiError": {
    "type": "object",
    "properties": {
     "code": {
      "type": "string"
     },
     "message": {
      "type": "string"
     },
     "details": {}
    },
    "required": [
     "code",
     "message"
    ]
   },
   "ApiErrorEnvelope": {
    "title": "ApiErrorEnvelope",
    "type": "object",
    "properties": {
     "error": {
      "$ref": "#/components/schemas/ApiError"
     }
    },
    "required": [
     "error"
    ]
   },
   "ConfigDumpResult": {
    "title": "ConfigDumpResult",
    "type": "object",
    "properties": {
     "entries": {
      "type": "array",
      "items": {
       "type": "object",
       "properties": {
        "name": {
         "type": "string"
        },
        "value": {
         "type": "string"
        },
        "default_value": {
         "type": [
          "string",
          "null"
         ]
        },
        "source": {
         "enum": [
          "Default",
          "ClientOverride",
          "File",
          "Runtime",
          "Env",
          "TestOverride"
         ],
         "type": "string"
        },
        "changed_from_default": {
         "type": "boolean"
        },
        "env_var": {
         "type": [
          "string",
          "null"
         ]
        }
       },
       "required": [
        "name",
        "value",
        "source",
        "changed_from_default"
       ]
      }
     }
    },
    "required": [
     "entries"
    ]
   },
   "Execution": {
    "type": "object",
    "properties": {
     "active_count": {
      "type": "integer",
      "minimum": 0,
      "format": "uint64"
     },
     "active_handlers": {
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/ActiveHandler"
      }
     },
     "complete": {
      "type": "boolean"
     },
     "truncated": {
      "type": "boolean"
     }
    },
    "required": [
     "active_count",
     "active_handlers",
     "complete",
     "truncated"
    ]
   },
   "FailureInfo": {
    "type": "object",
    "properties": {
     "error_message": {
      "type": "string"
     },
     "root_cause_actor": {
      "type": "string"
     },
     "root_cause_name": {
      "type": [
       "string",
       "null"
      ]
     },
     "occurred_at": {
      "type": "string"
     },
     "is_propagated": {
      "type": "boolean"
     }
    },
    "required": [
     "error_message",
     "root_cause_actor",
     "occurred_at",
     "is_propagated"
    ]
   },
   "InboundOrdering": {
    "type": "object",
    "properties": {
     "enabled": {
      "type": "boolean"
     },
     "snapshot_complete": {
      "type": "boolean"
     },
     "skipped_session_count": {
      "type": "integer",
      "minimum": 0,
      "format": "uint"
     },
     "known_session_count": {
      "type": "integer",
      "minimum": 0,
      "format": "uint"
     },
     "returned_buffered_session_count": {
      "type": "integer",
      "minimum": 0,
      "format": "uint"
     },
     "returned_buffered_message_count": {
      "type": "integer",
      "minimum": 0,
      "format": "uint"
     },
     "returned_max_buffered_count": {
      "type": "integer",
      "minimum": 0,
      "format": "uint"
     },
     "sessions": {
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/OrderingSessionSnapshot"
      }
     }
    },
    "required": [
     "enabled",
     "snapshot_complete",
     "skipped_session_count",
     "known_session_count",
     "returned_buffered_session_count",
     "returned_buffered_message_count",
     "returned_max_buffered_count",
     "sessions"
    ]
   },
   "LiveActor": {
    "type": "object",
    "properties": {
     "type": {
      "type": "string"
     },
     "status": {
      "type": "string"
     },
     "is_system": {
      "type": "boolean"
     },
     "failure": {
      "type": [
       "string",
       "null"
      ]
     },
     "ended_at": {
      "type": [
       "string",
       "null"
      ]
     }
    },
    "required": [
     "type",
     "status",
     "is_system"
    ]
   },
   "LiveEvent": {
    "title": "LiveEvent",
    "oneOf": [
     {
      "type": "object",
      "properties": {
       "type": {
        "const": "snapshot"
       },
       "reason": {
        "enum": [
         "start",
         "unknown_id",
         "too_old",
         "too_slow"
        ],
        "type": "string"
       },
       "as_of": {
        "type": "string"
       }
      },
      "required": [
       "type",
       "reason",
       "as_of"
      ]
     },
     {
      "type": "object",
      "properties": {
       "type": {
        "const": "host_linked"
       },
       "reference": {
        "type": "string"
       },
       "kind": {
        "enum": [
         "host",
         "proc",
         "actor"
        ],
        "type": "string"
       },
       "host": {
        "type": "string"
       },
       "as_of": {
        "type": "string"
       },
       "read_again": {
        "type": "boolean"
       }
      },
      "required": [
       "type",
       "reference",
       "kind",
       "host",
       "as_of",
       "read_again"
      ]
     },
     {
      "type": "object",
      "properties": {
       "type": {
        "const": "host_lost"
       },
       "reference": {
        "type": "string"
       },
       "kind": {
        "enum": [
         "host",
         "proc",
         "actor"
        ],
        "type": "string"
       },
       "host": {
        "type": "string"
       },
       "as_of": {
        "type": "string"
       }
      },
      "required": [
       "type",
       "reference",
       "kind",
       "host",
       "as_of"
      ]
     },
     {
      "type": "object",
      "properties": {
       "type": {
        "const": "host_removed"
       },
       "reference": {
        "type": "string"
       },
       "kind": {
        "enum": [
         "host",
         "proc",
         "actor"
        ],
        "type": "string"
       },
       "host": {
        "type": "string"
       },
       "as_of": {
        "type": "string"
       }
      },
      "required": [
       "type",
       "reference",
       "kind",
       "host",
       "as_of"
      ]
     },
     {
      "type": "object",
      "properties": {
       "type": {
        "const": "node_added"
       },
       "reference": {
        "type": "string"
       },
       "kind": {
        "enum": [
         "host",
         "proc",
         "actor"
        ],
        "type": "string"
       },
       "host": {
        "type": "string"
       },
       "as_of": {
        "type": "string"
       },
       "parent": {
        "type": "string"
       },
       "num_children": {
        "type": "integer",
        "minimum": 0,
        "format": "uint"
       },
       "since": {
        "type": [
         "string",
         "null"
        ]
       },
       "status": {
        "anyOf": [
         {
          "$ref": "#/components/schemas/LiveStatus"
         },
         {
          "type": "null"
         }
        ]
       }
      },
      "required": [
       "type",
       "reference",
       "kind",
       "host",
       "as_of",
       "parent",
       "num_children"
      ]
     },
     {
      "type": "object",
      "properties": {
       "type": {
        "const": "node_changed"
       },
       "reference": {
        "type": "string"
       },
       "kind": {
        "enum": [
         "host",
         "proc",
         "actor"
        ],
        "type": "string"
       },
       "host": {
        "type": "string"
       },
       "as_of": {
        "type": "string"
       },
       "parent": {
        "type": "string"
       },
       "num_children": {
        "type": "integer",
        "minimum": 0,
        "format": "uint"
       },
       "since": {
        "type": [
         "string",
         "null"
        ]
       },
       "status": {
        "anyOf": [
         {
          "$ref": "#/components/schemas/LiveStatus"
         },
         {
          "type": "null"
         }
        ]
       }
      },
      "required": [
       "type",
       "reference",
       "kind",
       "host",
       "as_of",
       "parent",
       "num_children"
      ]
     },
     {
      "type": "object",
      "properties": {
       "type": {
        "const": "node_removed"
       },
       "reference": {
        "type": "string"
       },
       "kind": {
        "enum": [
         "host",
         "proc",
         "actor"
        ],
        "type": "string"
       },
       "host": {
        "type": "string"
       },
       "as_of": {
        "type": "string"
       },
       "parent": {
        "type": "string"
       }
      },
      "required": [
       "type",
       "reference",
       "kind",
       "host",
       "as_of",
       "parent"
      ]
     }
    ]
   },
   "LiveProcess": {
    "type": "object",
    "properties": {
     "pid": {
      "type": "integer",
      "minimum": 0,
      "format": "uint32"
     },
     "parent_proc": {
      "type": [
       "string",
       "null"
      ]
     },
     "origin": {
      "enum": [
       "started",
       "watched",
       "child"
      ],
      "type": "string"
     },
     "command": {
      "type": "string"
     },
     "rank": {
      "type": [
       "integer",
       "null"
      ],
      "minimum": 0,
      "format": "uint32"
     },
     "local_rank": {
      "type": [
       "integer",
       "null"
      ],
      "minimum": 0,
      "format": "uint32"
     },
     "started_at": {
      "type": "string"
     },
     "ended_at": {
      "type": [
       "string",
       "null"
      ]
     },
     "exit_code": {
      "type": [
       "integer",
       "null"
      ],
      "format": "int32"
     },
     "signal": {
      "type": [
       "string",
       "null"
      ]
     }
    },
    "required": [
     "pid",
     "origin",
     "command",
     "started_at"
    ]
   },
   "LiveStatus": {
    "oneOf": [
     {
      "type": "object",
      "properties": {
       "Host": {
        "type": "object",
        "properties": {
         "addr": {
          "type": "string"
         }
        },
        "required": [
         "addr"
        ]
       }
      },
      "required": [
       "Host"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "Proc": {
        "type": "object",
        "properties": {
         "name": {
          "type": "string"
         },
         "is_poisoned": {
          "type": "boolean"
         },
         "failed_actor_count": {
          "type": "integer",
          "minimum": 0,
          "format": "uint"
         },
         "process": {
          "anyOf": [
           {
            "$ref": "#/components/schemas/LiveProcess"
           },
           {
            "type": "null"
           }
          ]
         }
        },
        "required": [
         "name",
         "is_poisoned",
         "failed_actor_count"
        ]
       }
      },
      "required": [
       "Proc"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "Actor": {
        "$ref": "#/components/schemas/LiveActor"
       }
      },
      "required": [
       "Actor"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "Error": {
        "type": "object",
        "properties": {
         "code": {
          "type": "string"
         },
         "message": {
          "type": "string"
         }
        },
        "required": [
         "code",
         "message"
        ]
       }
      },
      "required": [
       "Error"
      ],
      "additionalProperties": false
     }
    ]
   },
   "NodePayload": {
    "title": "NodePayload",
    "type": "object",
    "properties": {
     "identity": {
      "type": "string"
     },
     "properties": {
      "$ref": "#/components/schemas/NodeProperties"
     },
     "children": {
      "type": "array",
      "items": {
       "type": "string"
      }
     },
     "parent": {
      "type": [
       "string",
       "null"
      ]
     },
     "as_of": {
      "type": "string"
     }
    },
    "required": [
     "identity",
     "properties",
     "children",
     "as_of"
    ]
   },
   "NodeProperties": {
    "oneOf": [
     {
      "type": "object",
      "properties": {
       "Root": {
        "type": "object",
        "properties": {
         "num_hosts": {
          "type": "integer",
          "minimum": 0,
          "format": "uint"
         },
         "started_at": {
          "type": "string"
         },
         "started_by": {
          "type": "string"
         },
         "system_children": {
          "type": "array",
          "items": {
           "type": "string"
          }
         }
        },
        "required": [
         "num_hosts",
         "started_at",
         "started_by",
         "system_children"
        ]
       }
      },
      "required": [
       "Root"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "Host": {
        "type": "object",
        "properties": {
         "addr": {
          "type": "string"
         },
         "num_procs": {
          "type": "integer",
          "minimum": 0,
          "format": "uint"
         },
         "system_children": {
          "type": "array",
          "items": {
           "type": "string"
          }
         },
         "memory": {
          "$ref": "#/components/schemas/ProcessMemoryStats"
         }
        },
        "required": [
         "addr",
         "num_procs",
         "system_children",
         "memory"
        ]
       }
      },
      "required": [
       "Host"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "Proc": {
        "type": "object",
        "properties": {
         "proc_name": {
          "type": "string"
         },
         "num_actors": {
          "type": "integer",
          "minimum": 0,
          "format": "uint"
         },
         "system_children": {
          "type": "array",
          "items": {
           "type": "string"
          }
         },
         "stopped_children": {
          "type": "array",
          "items": {
           "type": "string"
          }
         },
         "stopped_retention_cap": {
          "type": "integer",
          "minimum": 0,
          "format": "uint"
         },
         "is_poisoned": {
          "type": "boolean"
         },
         "failed_actor_count": {
          "type": "integer",
          "minimum": 0,
          "format": "uint"
         },
         "debug": {
          "$ref": "#/components/schemas/ProcDebugStats"
         }
        },
        "required": [
         "proc_name",
         "num_actors",
         "system_children",
         "stopped_children",
         "stopped_retention_cap",
         "is_poisoned",
         "failed_actor_count",
         "debug"
        ]
       }
      },
      "required": [
       "Proc"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "Actor": {
        "type": "object",
        "properties": {
         "actor_status": {
          "type": "string"
         },
         "actor_type": {
          "type": "string"
         },
         "instance_id": {
          "type": "string"
         },
         "messages_processed": {
          "type": "integer",
          "minimum": 0,
          "format": "uint64"
         },
         "created_at": {
          "type": [
           "string",
           "null"
          ]
         },
         "last_message_handler": {
          "type": [
           "string",
           "null"
          ]
         },
         "total_processing_time_us": {
          "type": "integer",
          "minimum": 0,
          "format": "uint64"
         },
         "queue_depth": {
          "type": "integer",
          "minimum": 0,
          "format": "uint64"
         },
         "flight_recorder": {
          "type": [
           "string",
           "null"
          ]
         },
         "is_system": {
          "type": "boolean"
         },
         "inbound_ordering": {
          "anyOf": [
           {
            "$ref": "#/components/schemas/InboundOrdering"
           },
           {
            "type": "null"
           }
          ]
         },
         "failure_info": {
          "anyOf": [
           {
            "$ref": "#/components/schemas/FailureInfo"
           },
           {
            "type": "null"
           }
          ]
         },
         "execution": {
          "anyOf": [
           {
            "$ref": "#/components/schemas/Execution"
           },
           {
            "type": "null"
           }
          ]
         }
        },
        "required": [
         "actor_status",
         "actor_type",
         "instance_id",
         "messages_processed",
         "total_processing_time_us",
         "queue_depth",
         "is_system"
        ]
       }
      },
      "required": [
       "Actor"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "Error": {
        "type": "object",
        "properties": {
         "code": {
          "type": "string"
         },
         "message": {
          "type": "string"
         }
        },
        "required": [
         "code",
         "message"
        ]
       }
      },
      "required": [
       "Error"
      ],
      "additionalProperties": false
     }
    ]
   },
   "OrderingSessionSnapshot": {
    "type": "object",
    "properties": {
     "session_id": {
      "type": "string"
     },
     "sender": {
      "type": [
       "string",
       "null"
      ]
     },
     "last_released_seq": {
      "type": "integer",
      "minimum": 0,
      "format": "uint64"
     },
     "expected_next_seq": {
      "type": "integer",
      "minimum": 0,
      "format": "uint64"
     },
     "buffered_count": {
      "type": "integer",
      "minimum": 0,
      "format": "uint"
     },
     "oldest_buffered_seq": {
      "type": [
       "integer",
       "null"
      ],
      "minimum": 0,
      "format": "uint64"
     },
     "newest_buffered_seq": {
      "type": [
       "integer",
       "null"
      ],
      "minimum": 0,
      "format": "uint64"
     }
    },
    "required": [
     "session_id",
     "last_released_seq",
     "expected_next_seq",
     "buffered_count"
    ]
   },
   "ProcDebugStats": {
    "type": "object",
    "properties": {
     "memory": {
      "$ref": "#/components/schemas/ProcessMemoryStats"
     },
     "actor_work_queue_depth_total": {
      "type": "integer",
      "minimum": 0,
      "format": "uint64"
     },
     "actor_work_queue_depth_max": {
      "type": "integer",
      "minimum": 0,
      "format": "uint64"
     },
     "actor_work_queue_depth_high_water_mark": {
      "type": "integer",
      "minimum": 0,
      "format": "uint64"
     },
     "last_nonzero_queue_depth_age_ms": {
      "type": [
       "integer",
       "null"
      ],
      "minimum": 0,
      "format": "uint64"
     }
    },
    "required": [
     "memory",
     "actor_work_queue_depth_total",
     "actor_work_queue_depth_max",
     "actor_work_queue_depth_high_water_mark"
    ]
   },
   "ProcessMemoryStats": {
    "type": "object",
    "properties": {
     "process_rss_bytes": {
      "type": [
       "integer",
       "null"
      ],
      "minimum": 0,
      "format": "uint64"
     },
     "process_vm_size_bytes": {
      "type": [
       "integer",
       "null"
      ],
      "minimum": 0,
      "format": "uint64"
     }
    }
   },
   "PySpyCaptureMode": {
    "oneOf": [
     {
      "type": "string",
      "const": "python_only",
      "description": "Python frames only; native frames were not captured."
     },
     {
      "type": "string",
      "const": "native",
      "description": "Python frames and the native frames of Python threads."
     },
     {
      "type": "string",
      "const": "native_all",
      "description": "Python frames and native frames, threads without Python included."
     }
    ]
   },
   "PySpyFrame": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string"
     },
     "filename": {
      "type": "string"
     },
     "module": {
      "type": [
       "string",
       "null"
      ]
     },
     "short_filename": {
      "type": [
       "string",
       "null"
      ]
     },
     "line": {
      "type": "integer",
      "format": "int32"
     },
     "locals": {
      "type": [
       "array",
       "null"
      ],
      "items": {
       "$ref": "#/components/schemas/PySpyLocalVariable"
      }
     },
     "is_entry": {
      "type": "boolean"
     }
    },
    "required": [
     "name",
     "filename",
     "line",
     "is_entry"
    ]
   },
   "PySpyLocalVariable": {
    "type": "object",
    "properties": {
     "name": {
      "type": "string"
     },
     "addr": {
      "type": "integer",
      "minimum": 0,
      "format": "uint"
     },
     "arg": {
      "type": "boolean"
     },
     "repr": {
      "type": [
       "string",
       "null"
      ]
     }
    },
    "required": [
     "name",
     "addr",
     "arg"
    ]
   },
   "PySpyProfileOpts": {
    "title": "PySpyProfileOpts",
    "type": "object",
    "properties": {
     "duration_s": {
      "type": "integer",
      "minimum": 1,
      "format": "uint32"
     },
     "rate_hz": {
      "type": "integer",
      "minimum": 1,
      "format": "uint32",
      "maximum": 1000
     },
     "native": {
      "type": "boolean"
     },
     "threads": {
      "type": "boolean"
     },
     "nonblocking": {
      "type": "boolean"
     }
    },
    "required": [
     "duration_s",
     "rate_hz",
     "native",
     "threads",
     "nonblocking"
    ],
    "description": "`duration_s` is at most 300; `native` and `nonblocking` cannot both be true."
   },
   "PySpyResult": {
    "title": "PySpyResult",
    "oneOf": [
     {
      "type": "object",
      "properties": {
       "Ok": {
        "type": "object",
        "properties": {
         "pid": {
          "type": "integer",
          "minimum": 0,
          "format": "uint32"
         },
         "binary": {
          "type": "string"
         },
         "capture_mode": {
          "$ref": "#/components/schemas/PySpyCaptureMode"
         },
         "stack_traces": {
          "type": "array",
          "items": {
           "$ref": "#/components/schemas/PySpyStackTrace"
          }
         },
         "warnings": {
          "type": "array",
          "items": {
           "type": "string"
          }
         }
        },
        "required": [
         "pid",
         "binary",
         "capture_mode",
         "stack_traces",
         "warnings"
        ]
       }
      },
      "required": [
       "Ok"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "BinaryNotFound": {
        "type": "object",
        "properties": {
         "searched": {
          "type": "array",
          "items": {
           "type": "string"
          }
         }
        },
        "required": [
         "searched"
        ]
       }
      },
      "required": [
       "BinaryNotFound"
      ],
      "additionalProperties": false
     },
     {
      "type": "object",
      "properties": {
       "Failed": {
        "type": "object",
        "properties": {
         "pid": {
          "type": "integer",
          "minimum": 0,
          "format": "uint32"
         },
         "binary": {
          "type": "string"
         },
         "exit_code": {
          "type": [
           "integer",
           "null"
          ],
          "format": "int32"
         },
         "stderr": {
          "type": "string"
         }
        },
        "required": [
         "pid",
         "binary",
         "stderr"
        ]
       }
      },
      "required": [
       "Failed"
      ],
      "additionalProperties": false
     }
    ]
   },
   "PySpyStackTrace": {
    "type": "object",
    "properties": {
     "pid": {
      "type": "integer",
      "format": "int32"
     },
     "thread_id": {
      "type": "integer",
      "minimum": 0,
      "format": "uint64"
     },
     "thread_name": {
      "type": [
       "string",
       "null"
      ]
     },
     "os_thread_id": {
      "type": [
       "integer",
       "null"
      ],
      "minimum": 0,
      "format": "uint64"
     },
     "active": {
      "type": "boolean"
     },
     "owns_gil": {
      "type": "boolean"
     },
     "frames": {
      "type": "array",
      "items": {
       "$ref": "#/components/schemas/PySpyFrame"
      }
     }
    },
    "required": [
     "pid",
     "thread_id",
     "active",
     "owns_gil",
     "frames"
    ]
   },
   "PyspyDumpAndStoreResponse": {
    "title": "PyspyDumpAndStoreResponse",
    "type": "object",
    "properties": {
     "dump_id": {
      "type": "string"
     }
    },
    "required": [
     "dump_id"
    ]
   },
   "QueryRequest": {
    "title": "QueryRequest",
    "type": "object",
    "properties": {
     "sql": {
      "type": "string"
     }
    },
    "required": [
     "sql"
    ]
   },
   "QueryResponse": {
    "title": "QueryResponse",
    "type": "object",
    "properties": {
     "rows": {}
    },
    "required": [
     "rows"
    ]
   }
  },
  "responses": {
   "BadRequest": {
    "description": "The input is wrong: an empty or undecodable reference, something that is not a proc reference where one is needed, bad JSON, options out of range, or a head that cannot be read.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "Unauthorized": {
    "description": "A token is needed, or the token is wrong or has expired.",
    "headers": {
     "WWW-Authenticate": {
      "$ref": "#/components/headers/WWW-Authenticate"
     }
    },
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "Forbidden": {
    "description": "The Host or Origin header is not allowed, or the token may not do this.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "NotFound": {
    "description": "Nothing of that name is there.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "MethodNotAllowed": {
    "description": "The path takes another method.",
    "headers": {
     "Allow": {
      "$ref": "#/components/headers/Allow"
     }
    },
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "RequestTimeout": {
    "description": "The request took too long to come.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "PayloadTooLarge": {
    "description": "The body is larger than 2 MiB.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "UnsupportedMediaType": {
    "description": "The body is not declared as JSON.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "Unprocessable": {
    "description": "The JSON has the wrong shape; the message names the field.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "HeadTooLarge": {
    "description": "Request line and headers are too large.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "Failed": {
    "description": "Something failed here, on the host, or in the telemetry service; the code says where.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "Unavailable": {
    "description": "A bound was reached (then Retry-After is given), or py-spy is not installed on the host.",
    "headers": {
     "Retry-After": {
      "$ref": "#/components/headers/Retry-After"
     }
    },
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   },
   "TooLate": {
    "description": "The host or its agent did not answer in time.",
    "content": {
     "application/json": {
      "schema": {
       "$ref": "#/components/schemas/ApiErrorEnvelope"
      }
     }
    }
   }
  },
  "headers": {
   "Allow": {
    "description": "The methods that this path takes.",
    "required": true,
    "schema": {
     "type": "string"
    },
    "example": "GET,HEAD"
   },
   "Retry-After": {
    "description": "Seconds after which to come again; there when a bound was reached.",
    "schema": {
     "type": "integer",
     "minimum": 1
    }
   },
   "WWW-Authenticate": {
    "description": "How to say who you are.",
    "required": true,
    "schema": {
     "type": "string"
    },
    "example": "Bearer realm=\"meshscope\""
   }
  },
  "securitySchemes": {
   "bearer": {
    "type": "http",
    "scheme": "bearer",
    "description": "The token that the server names at its start."
   },
   "mutualTLS": {
    "type": "mutualTLS",
    "description": "A client certificate, where the server asks for one."
   }
  }
 }
};
